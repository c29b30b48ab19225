(* SPDX-License-Identifier: MIT
   sessions.ml -- a table of sessions that live long and change seldom; each request builds lists and a tree and drops
   them. *)

type item = End | Item of { next : item; key : int; value : int }
type session = { mutable items : item; id : int; mutable hits : int }
type node = Nil | Node of { mutable left : node; mutable right : node; key : int }
type service = { table : session array; mutable made : int; job : Job.t }

(* ---- what lives long ---- *)

let rec extend job list length =
  if length = 0 then list
  else
    let key = Job.below job 65536 in
    let value = Job.below job 256 in
    extend job (Item { next = list; key; value }) (length - 1)

let items job = extend job End (4 + Job.below job 9)

let make_session s =
  let session = { items = items s.job; id = s.made; hits = 0 } in
  s.made <- s.made + 1;
  session

let change s =
  let i = Job.below s.job (Array.length s.table) in
  if Job.below s.job 4 = 0 then s.table.(i) <- make_session s else s.table.(i).items <- items s.job

(* ---- a request ---- *)

let rec insert tree fresh key =
  match tree with
  | Nil -> ()
  | Node n when key < n.key -> if n.left == Nil then n.left <- fresh else insert n.left fresh key
  | Node n -> if n.right == Nil then n.right <- fresh else insert n.right fresh key

let add tree key =
  let fresh = Node { left = Nil; right = Nil; key } in
  if tree == Nil then fresh
  else begin
    insert tree fresh key;
    tree
  end

let rec tree_of tree = function End -> tree | Item i -> tree_of (add tree i.key) i.next

let rec copy answer hits = function
  | End -> answer
  | Item i -> copy (Item { next = answer; key = i.key; value = i.value + hits }) hits i.next

let answer session =
  session.hits <- session.hits + 1;
  copy End session.hits session.items

let rec sum_tree v = function Nil -> v | Node n -> sum_tree (Job.mix (sum_tree v n.left) n.key) n.right
let rec sum_list v = function End -> v | Item i -> sum_list (Job.mix v (i.key + i.value)) i.next

let serve s =
  let asked = extend s.job End (8 + Job.below s.job 17) in
  let tree = tree_of Nil asked in
  let session = s.table.(Job.below s.job (Array.length s.table)) in
  sum_list (sum_tree session.id tree) (answer session)

let run n job =
  let s = { table = Array.make n { items = End; id = 0; hits = 0 }; made = 0; job } in
  for i = 0 to n - 1 do
    s.table.(i) <- make_session s
  done;
  let c = ref 0 in
  for _ = 1 to 8 * n do
    c := Job.mix !c (serve s);
    if Job.below job 64 = 0 then change s
  done;
  !c
