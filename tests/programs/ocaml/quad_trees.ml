(* SPDX-License-Identifier: MIT
   quad_trees.ml -- one big live tree, many short-lived small ones. *)

(* Mutable, or the compiler would share one leaf, outside of the heap. *)
type tree = Nil | Node of { mutable k0 : tree; mutable k1 : tree; mutable k2 : tree; mutable k3 : tree }

let rec make depth =
  if depth = 0 then Node { k0 = Nil; k1 = Nil; k2 = Nil; k3 = Nil }
  else
    let k0 = make (depth - 1) in
    let k1 = make (depth - 1) in
    let k2 = make (depth - 1) in
    let k3 = make (depth - 1) in
    Node { k0; k1; k2; k3 }

let rec count = function Nil -> 0 | Node t -> 1 + count t.k0 + count t.k1 + count t.k2 + count t.k3

let run n _job =
  let c = ref 0 in
  let long = make n in
  for _ = 1 to 8 lsl (2 * (n - 4)) do
    c := Job.mix !c (count (make 4))
  done;
  Job.mix !c (count long)
