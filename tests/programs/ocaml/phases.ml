(* SPDX-License-Identifier: MIT
   phases.ml -- a compiler: the trees of a module die together at its end, the symbols and the payloads stay. *)

let modules = 24
let depth = 8
let names = 48 (* for each function of a module *)

(* The values of op; no tree is a symbol. *)
let op_number = 0
let op_sum = 1
let op_let = 3
let op_name = 4
let op_symbol = 5

(* Every node has all of these fields, whatever its op. *)
type tree = No_tree | Tree of { left : tree; right : tree; op : int; value : int }

type symbol =
  | No_symbol
  | Symbol of { chain : symbol; mutable payload : Bytes.t; name : int; mutable uses : int }

type code = No_code | Code of { left : code; right : code; symbol : symbol; op : int; value : int }
type entry = Outermost | Entry of { next : entry; name : int }
type 'body functions = End | Function of { next : 'body functions; body : 'body; name : int }
type compiler = { buckets : symbol array; functions : int; mutable scope : entry; job : Job.t }

(* ---- the table of symbols ---- *)

(* What has no payload holds this one; no payload is empty. *)
let nothing = Bytes.empty

let rec find name = function Symbol s when s.name <> name -> find name s.chain | found -> found

let symbol l name =
  let bucket = name * 40503 land (Array.length l.buckets - 1) in
  match find name l.buckets.(bucket) with
  | No_symbol ->
      let fresh = Symbol { chain = l.buckets.(bucket); payload = nothing; name; uses = 0 } in
      l.buckets.(bucket) <- fresh;
      fresh
  | found -> found

let rec sum_chain c = function
  | No_symbol -> c
  | Symbol s -> sum_chain (Job.mix c (s.uses + Bytes.length s.payload)) s.chain

(* ---- first form: trees ---- *)

let leaf op value = Tree { left = No_tree; right = No_tree; op; value }

let rec parse l depth =
  if depth = 0 || Job.below l.job 8 = 0 then
    if Job.below l.job 2 = 0 then leaf op_number (Job.below l.job 256)
    else leaf op_name (Job.below l.job (names * l.functions))
  else
    let op = op_sum + Job.below l.job 3 in
    let value = Job.below l.job 4 in
    let left = parse l (depth - 1) in
    let right = parse l (depth - 1) in
    Tree { left; right; op; value }

let rec parse_all l list base i =
  if i = l.functions then list
  else
    let body = parse l depth in
    parse_all l (Function { next = list; body; name = base + i }) base (i + 1)

(* ---- second form: names are resolved ---- *)

let single symbol op value = Code { left = No_code; right = No_code; symbol; op; value }

let use = function
  | No_symbol -> 0
  | Symbol s ->
      s.uses <- s.uses + 1;
      s.uses

let rec resolve_name l name distance = function
  | Entry e when e.name = name land 3 -> single No_symbol op_name distance
  | Entry e -> resolve_name l name (distance + 1) e.next
  | Outermost ->
      let found = symbol l name in
      single found op_symbol (use found)

let rec resolve l = function
  | No_tree -> No_code
  | Tree t when t.op = op_name -> resolve_name l t.value 0 l.scope
  | Tree t when t.op = op_number -> single No_symbol op_number t.value
  | Tree t ->
      let left = resolve l t.left in
      let outer = l.scope in
      if t.op = op_let then l.scope <- Entry { next = outer; name = t.value };
      let right = resolve l t.right in
      l.scope <- outer;
      Code { left; right; symbol = No_symbol; op = t.op; value = t.value }

(* ---- third form: constants are folded ---- *)

let join left right op value =
  match (left, right) with
  | _, Code r when op = op_let && r.op = op_number -> right
  | Code l, Code r when op <> op_let && l.op = op_number && r.op = op_number ->
      single No_symbol op_number ((if op = op_sum then l.value + r.value else l.value * r.value) land 65535)
  | _ -> Code { left; right; symbol = No_symbol; op; value }

let rec fold = function
  | No_code -> No_code
  | Code t when t.left == No_code -> single t.symbol t.op t.value
  | Code t ->
      let left = fold t.left in
      let right = fold t.right in
      join left right t.op t.value

let rec convert body_of list = function
  | End -> list
  | Function f ->
      let body = body_of f.body in
      convert body_of (Function { next = list; body; name = f.name }) f.next

(* ---- payloads ---- *)

let rec count = function No_code -> 0 | Code t -> 1 + count t.left + count t.right

(* Writes the code into bytes, from `at` on, and returns where it ends. *)
let rec write bytes at = function
  | No_code -> at
  | Code t ->
      let at = write bytes (write bytes at t.left) t.right in
      let name, uses = match t.symbol with No_symbol -> (0, 0) | Symbol s -> (s.name, s.uses) in
      let set i value = Bytes.set bytes (at + i) (Char.unsafe_chr (value land 255)) in
      set 0 t.op;
      set 1 t.value;
      set 2 name;
      set 3 uses;
      at + 4

let emit l c body name =
  let payload = Bytes.create (4 * count body) in
  ignore (write payload 0 body);
  (match symbol l name with No_symbol -> () | Symbol s -> s.payload <- payload);
  let c = ref c in
  Bytes.iter (fun byte -> c := Job.mix !c (Char.code byte)) payload;
  !c

let rec emit_all l c = function End -> c | Function f -> emit_all l (emit l c f.body f.name) f.next

(* The three forms of a module live until all of it is emitted. *)
let compile l c number =
  let parsed = parse_all l End (number * l.functions) 0 in
  let resolved = convert (resolve l) End parsed in
  let folded = convert fold End resolved in
  let c = emit_all l c folded in
  ignore (Sys.opaque_identity (parsed, resolved, folded));
  c

let rec power_of_two size least = if size >= least then size else power_of_two (2 * size) least

let run n job =
  let l = { buckets = Array.make (power_of_two 1 (16 * n)) No_symbol; functions = n; scope = Outermost; job } in
  let c = ref 0 in
  for number = 0 to modules - 1 do
    c := compile l !c number
  done;
  Array.fold_left sum_chain !c l.buckets
