(* SPDX-License-Identifier: MIT
   binary_trees.ml -- short-lived trees beside one that lives. *)

(* Mutable, or the compiler would share one leaf, outside of the heap. *)
type tree = Nil | Node of { mutable left : tree; mutable right : tree }

let rec make depth =
  if depth = 0 then Node { left = Nil; right = Nil }
  else
    let left = make (depth - 1) in
    let right = make (depth - 1) in
    Node { left; right }

let rec count = function Nil -> 0 | Node t -> 1 + count t.left + count t.right

let run n _job =
  let c = ref (Job.mix 0 (count (make (n + 1)))) in
  let long = make n in
  for half = 2 to n / 2 do
    let depth = 2 * half in
    let sum = ref 0 in
    for _ = 1 to 1 lsl (n - depth + 4) do
      sum := !sum + count (make depth)
    done;
    c := Job.mix !c !sum
  done;
  Job.mix !c (count long)
