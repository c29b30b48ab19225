(* SPDX-License-Identifier: MIT
   queue.ml -- batches of messages go from a producer to a consumer through a bounded queue; the consumer keeps the last
   ones. Of OCaml's threads one runs at a time. *)

type message = Nil | Message of { mutable next : message; id : int; payload : Bytes.t }

let batch_length = 32
let message id = Message { next = Nil; id; payload = Bytes.make 64 (Char.unsafe_chr (id land 255)) }

let rec extend last id finish =
  match last with
  | Message m when id < finish ->
      let following = message id in
      m.next <- following;
      extend following (id + 1) finish
  | _ -> ()

(* The messages from id on, linked in this order. *)
let batch id =
  let first = message id in
  extend first (id + 1) (id + batch_length);
  first

type ring = {
  lock : Mutex.t;
  not_empty : Condition.t;
  not_full : Condition.t;
  batches : message array;
  mutable head : int;
  mutable count : int;
}

let ring_length = 256

let make_ring () =
  {
    lock = Mutex.create ();
    not_empty = Condition.create ();
    not_full = Condition.create ();
    batches = Array.make ring_length Nil;
    head = 0;
    count = 0;
  }

let put ring batch =
  Mutex.lock ring.lock;
  while ring.count = ring_length do
    Condition.wait ring.not_full ring.lock
  done;
  ring.batches.((ring.head + ring.count) mod ring_length) <- batch;
  ring.count <- ring.count + 1;
  Mutex.unlock ring.lock;
  Condition.signal ring.not_empty

let take ring =
  Mutex.lock ring.lock;
  while ring.count = 0 do
    Condition.wait ring.not_empty ring.lock
  done;
  let batch = ring.batches.(ring.head) in
  ring.batches.(ring.head) <- Nil;
  ring.head <- (ring.head + 1) mod ring_length;
  ring.count <- ring.count - 1;
  Mutex.unlock ring.lock;
  Condition.signal ring.not_full;
  batch

let rec consume keep c = function
  | Nil -> c
  | Message m as kept ->
      let follow = m.next in
      m.next <- Nil;
      keep.(m.id mod Array.length keep) <- kept;
      consume keep (Job.mix c (m.id + Char.code (Bytes.get m.payload 0))) follow

let run messages job =
  let keep = Array.make (messages / 16) Nil in
  let ring = make_ring () in
  let batches = messages / batch_length in
  let produce b = put ring (batch (b * batch_length)) in
  let c = ref 0 in
  if job.Job.threads = 1 then
    for b = 0 to batches - 1 do
      produce b;
      c := consume keep !c (take ring)
    done
  else begin
    let producer () =
      for b = 0 to batches - 1 do
        produce b
      done
    in
    let thread = Thread.create (Memory.guard producer) () in
    for _ = 1 to batches do
      c := consume keep !c (take ring)
    done;
    Thread.join thread
  end;
  !c
