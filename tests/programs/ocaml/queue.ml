(* SPDX-License-Identifier: MIT
   queue.ml -- batches of messages go from a producer to a consumer through a bounded queue; the consumer keeps the last
   ones. *)

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

let rec consume keep c = function
  | Nil -> c
  | Message m as kept ->
      let follow = m.next in
      m.next <- Nil;
      keep.(m.id mod Array.length keep) <- kept;
      consume keep (Job.mix c (m.id + Char.code (Bytes.get m.payload 0))) follow

let run messages job =
  let keep = Array.make (messages / 16) Nil in
  let ring = Ring.make 256 Nil in
  let batches = messages / batch_length in
  let produce b = Ring.put ring (batch (b * batch_length)) in
  let c = ref 0 in
  if job.Job.threads = 1 then
    for b = 0 to batches - 1 do
      produce b;
      c := consume keep !c (Ring.take ring)
    done
  else begin
    let producer () =
      for b = 0 to batches - 1 do
        produce b
      done
    in
    let thread = Thread.create (Memory.guard producer) () in
    for _ = 1 to batches do
      c := consume keep !c (Ring.take ring)
    done;
    Thread.join thread
  end;
  !c
