(* SPDX-License-Identifier: MIT
   lru.ml -- a cache: a hash table with chains, and a list from the entry used last to the one used least recently.
   Everything dies old, in no order. *)

type entry =
  | Nil
  | Entry of {
      mutable previous : entry;
      mutable next : entry;
      mutable chain : entry;
      payload : Bytes.t;
      key : int;
    }

type cache = {
  buckets : entry array;
  mutable entries : int;
  mutable first : entry;
  mutable last : entry;
}

let rec power_of_two size least = if size >= least then size else power_of_two (2 * size) least
let create capacity = { buckets = Array.make (power_of_two 1 capacity) Nil; entries = 0; first = Nil; last = Nil }
let bucket cache key = key * 40503 land (Array.length cache.buckets - 1)

let rec find chain key =
  match chain with Entry e when e.key <> key -> find e.chain key | found -> found

let set_next cache entry next =
  match entry with Nil -> cache.first <- next | Entry e -> e.next <- next

let set_previous cache entry previous =
  match entry with Nil -> cache.last <- previous | Entry e -> e.previous <- previous

let link_first cache = function
  | Nil -> ()
  | Entry e as entry ->
      e.previous <- Nil;
      e.next <- cache.first;
      set_previous cache cache.first entry;
      cache.first <- entry

let unlink cache = function
  | Nil -> ()
  | Entry e ->
      set_next cache e.previous e.next;
      set_previous cache e.next e.previous

let rec unchain before victim after =
  match before with
  | Nil -> ()
  | Entry e -> if e.chain == victim then e.chain <- after else unchain e.chain victim after

let remove_last cache =
  match cache.last with
  | Nil -> ()
  | Entry e as victim ->
      cache.entries <- cache.entries - 1;
      unlink cache victim;
      let b = bucket cache e.key in
      let head = cache.buckets.(b) in
      if head == victim then cache.buckets.(b) <- e.chain else unchain head victim e.chain

let add cache capacity key length =
  let payload = Bytes.make length (Char.unsafe_chr (key land 255)) in
  let b = bucket cache key in
  let entry = Entry { previous = Nil; next = Nil; chain = cache.buckets.(b); payload; key } in
  cache.buckets.(b) <- entry;
  link_first cache entry;
  cache.entries <- cache.entries + 1;
  if cache.entries > capacity then remove_last cache

let run capacity job =
  let cache = create capacity in
  let c = ref 0 in
  for _ = 1 to 30 * capacity do
    let key = Job.below job (2 * capacity) in
    match find cache.buckets.(bucket cache key) key with
    | Entry e as entry ->
        unlink cache entry;
        link_first cache entry;
        c := Job.mix !c (Char.code (Bytes.get e.payload (Bytes.length e.payload - 1)))
    | Nil ->
        let length = 16 + Job.below job 497 in
        add cache capacity key length;
        c := Job.mix !c (256 + length)
  done;
  !c
