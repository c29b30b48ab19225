(* SPDX-License-Identifier: MIT
   rewire.ml -- references of old nodes are overwritten all the time, half of them with nodes that soon die. *)

let window = 256 (* steps that a new node lives *)

type node =
  | Nil
  | Node of { id : int; mutable e0 : node; mutable e1 : node; mutable e2 : node; mutable e3 : node }

type net = {
  all : node array;
  turned : int array;  (* the slots that lead to the new nodes *)
  mutable c : int;
  job : Job.t;
}

let id = function Nil -> 0 | Node x -> x.id
let any net = net.all.(Job.below net.job (Array.length net.all))

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

let turn net slot target =
  let node = net.all.(slot lsr 2) in
  net.c <- Job.mix net.c (id (edge node (slot land 3)));
  set_edge node (slot land 3) target

(* No slot leads to the node of that step afterwards. *)
let turn_back net at =
  for j = at to at + 3 do
    turn net net.turned.(j) (any net)
  done

let turn_to_new net at id =
  let e0 = any net in
  let e1 = any net in
  let e2 = any net in
  let e3 = any net in
  let node = Node { id; e0; e1; e2; e3 } in
  for j = at to at + 3 do
    net.turned.(j) <- Job.below net.job (4 * Array.length net.all);
    turn net net.turned.(j) node
  done

let build net =
  for i = 0 to Array.length net.all - 1 do
    net.all.(i) <- Node { id = i; e0 = Nil; e1 = Nil; e2 = Nil; e3 = Nil }
  done;
  for i = 0 to Array.length net.all - 1 do
    for k = 0 to 3 do
      set_edge net.all.(i) k (any net)
    done
  done

let run n job =
  let net = { all = Array.make n Nil; turned = Array.make (4 * window) 0; c = 0; job } in
  build net;
  for step = 0 to (4 * n) + window - 1 do
    let at = 4 * (step mod window) in
    if step >= window then turn_back net at;
    if step < 4 * n then turn_to_new net at (n + step)
  done;
  net.c
