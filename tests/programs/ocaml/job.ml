(* SPDX-License-Identifier: MIT
   job.ml -- what a thread of a program has of its own: its random numbers, and the times of the collections that
   it forced. *)

type t = {
  threads : int;  (* how many the program may use; only the queue and the pipeline ask *)
  mutable forced : float list;  (* milliseconds of each call of collect, the last one first *)
  mutable state : int;
}

let make ~number ~threads = { threads; forced = []; state = 12345 + (1000 * number) }

(* The next random number, modulo n. Who needs two asks in two lets: the order of arguments is the compiler's. *)
let below job n =
  let next = job.state * 48271 mod 2147483647 in
  job.state <- next;
  next mod n

(* Collects everything, now. *)
let collect job =
  let start = Unix.gettimeofday () in
  Gc.full_major ();
  job.forced <- (1e3 *. (Unix.gettimeofday () -. start)) :: job.forced

(* The checksum c with v added, modulo 2^32. *)
let mix c v = ((31 * c) + v) land 0xffffffff
