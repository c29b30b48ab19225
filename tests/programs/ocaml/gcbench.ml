(* SPDX-License-Identifier: MIT
   gcbench.ml -- GCBench of Ellis, Kovac and Boehm: trees built from the bottom and from the top, a long-lived tree, a
   large array of integers. The collector reads through the array, for it does not know that no references are in it. *)

type tree = Nil | Node of { mutable left : tree; mutable right : tree; mutable i : int; mutable j : int }

(* A tree built from the bottom. *)
let rec make depth =
  if depth = 0 then Node { left = Nil; right = Nil; i = 0; j = 0 }
  else
    let left = make (depth - 1) in
    let right = make (depth - 1) in
    Node { left; right; i = depth; j = 0 }

let rec populate tree depth =
  match tree with
  | Node t when depth > 0 ->
      t.left <- Node { left = Nil; right = Nil; i = depth - 1; j = 0 };
      t.right <- Node { left = Nil; right = Nil; i = depth - 1; j = 0 };
      populate t.left (depth - 1);
      populate t.right (depth - 1)
  | _ -> ()

(* A tree built from the top. *)
let top depth =
  let tree = Node { left = Nil; right = Nil; i = depth; j = 0 } in
  populate tree depth;
  tree

let rec count = function Nil -> 0 | Node t -> 1 + count t.left + count t.right
let level = function Nil -> 0 | Node t -> t.i

(* Builds that many trees and returns the last. The one before is dead when the next is built. *)
let rec last_of times build depth =
  let tree = build depth in
  if times = 1 then tree else last_of (times - 1) build depth

let run n _job =
  let c = ref (Job.mix 0 (count (make n))) in
  let long = top (n - 2) in
  let words = Array.make (1 lsl (n + 1)) 0 in
  for k = 0 to (1 lsl n) - 1 do
    words.(k) <- k * k mod 2147483647
  done;
  for half = 2 to (n - 2) / 2 do
    let depth = 2 * half in
    let times = 2 * ((1 lsl (n + 1)) - 1) / ((1 lsl (depth + 1)) - 1) in
    c := Job.mix !c (count (last_of times top depth));
    c := Job.mix !c (count (last_of times make depth))
  done;
  c := Job.mix !c (count long);
  c := Job.mix !c (level long);
  Job.mix !c words.(1000)
