(* SPDX-License-Identifier: MIT
   ring.ml -- a bounded queue from one thread to another. Of OCaml's threads one runs at a time. *)

type 'a t = {
  lock : Mutex.t;
  not_empty : Condition.t;
  not_full : Condition.t;
  slots : 'a array;
  nothing : 'a;  (* in a slot that is empty *)
  mutable head : int;
  mutable count : int;
}

let make length nothing =
  {
    lock = Mutex.create ();
    not_empty = Condition.create ();
    not_full = Condition.create ();
    slots = Array.make length nothing;
    nothing;
    head = 0;
    count = 0;
  }

let put ring batch =
  Mutex.lock ring.lock;
  while ring.count = Array.length ring.slots do
    Condition.wait ring.not_full ring.lock
  done;
  ring.slots.((ring.head + ring.count) mod Array.length ring.slots) <- batch;
  ring.count <- ring.count + 1;
  Mutex.unlock ring.lock;
  Condition.signal ring.not_empty

let take ring =
  Mutex.lock ring.lock;
  while ring.count = 0 do
    Condition.wait ring.not_empty ring.lock
  done;
  let batch = ring.slots.(ring.head) in
  ring.slots.(ring.head) <- ring.nothing;
  ring.head <- (ring.head + 1) mod Array.length ring.slots;
  ring.count <- ring.count - 1;
  Mutex.unlock ring.lock;
  Condition.signal ring.not_full;
  batch
