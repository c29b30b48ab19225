(* SPDX-License-Identifier: MIT
   graph.ml -- random references, forced full collections. *)

type node =
  | Nil
  | Node of { id : int; mutable e0 : node; mutable e1 : node; mutable e2 : node; mutable e3 : node }

let id = function Nil -> 0 | Node x -> x.id

let edge node k =
  match node with
  | Nil -> Nil
  | Node x -> ( match k with 0 -> x.e0 | 1 -> x.e1 | 2 -> x.e2 | _ -> x.e3)

let set_edge node k target =
  match node with
  | Nil -> ()
  | Node x -> (
      match k with
      | 0 -> x.e0 <- target
      | 1 -> x.e1 <- target
      | 2 -> x.e2 <- target
      | _ -> x.e3 <- target)

let run n job =
  let all = Array.make n Nil in
  for i = 0 to n - 1 do
    all.(i) <- Node { id = i; e0 = Nil; e1 = Nil; e2 = Nil; e3 = Nil }
  done;
  let any () = all.(Job.below job n) in
  for i = 0 to n - 1 do
    for k = 0 to 3 do
      set_edge all.(i) k (any ())
    done
  done;
  let replace id =
    let i = Job.below job n in
    let e0 = any () in
    let e1 = any () in
    let e2 = any () in
    let e3 = any () in
    all.(i) <- Node { id; e0; e1; e2; e3 }
  in
  let redirect () =
    let i = Job.below job n in
    let k = Job.below job 4 in
    set_edge all.(i) k (any ())
  in
  let c = ref 0 in
  let changes = n / 64 in
  for round = 0 to 9 do
    for made = round * changes to ((round + 1) * changes) - 1 do
      replace (n + made)
    done;
    for _ = 1 to changes do
      redirect ()
    done;
    Job.collect job;
    let p = ref (any ()) in
    for _ = 1 to 100000 do
      p := edge !p (Job.below job 4);
      c := Job.mix !c (id !p)
    done
  done;
  !c
