(* SPDX-License-Identifier: MIT
   pipeline.ml -- four stages with queues between them: each makes new objects that keep a part of the old ones, and the
   last updates a table that lives long. *)

let batch_length = 128
let lag = 16
let ring_length = 32

type record = No_record | Record of { next : record; text : Bytes.t; id : int; key : int }
type parsed = No_parsed | Parsed of { next : parsed; text : Bytes.t; key : int; hash : int }
type word = End | Word of { next : word; value : int }
type result = No_result | Result of { next : result; text : Bytes.t; words : word; key : int; value : int }

type counter =
  | No_counter
  | Counter of { mutable text : Bytes.t; mutable words : word; mutable count : int; mutable sum : int }

type line = {
  records : record Ring.t;
  parses : parsed Ring.t;
  results : result Ring.t;
  table : counter array;
  batches : int;
  mutable c : int;
  job : Job.t;  (* the thread that reads asks it for random numbers *)
}

(* ---- the stages ---- *)

let rec read l batch id finish =
  if id = finish then batch
  else
    let text = Bytes.make (16 + Job.below l.job 49) (Char.unsafe_chr (id land 255)) in
    let key = Job.below l.job (Array.length l.table) in
    read l (Record { next = batch; text; id; key }) (id + 1) finish

let hash_of id text =
  let hash = ref id in
  Bytes.iter (fun byte -> hash := Job.mix !hash (Char.code byte)) text;
  !hash

let rec parse batch = function
  | No_record -> batch
  | Record r -> parse (Parsed { next = batch; text = r.text; key = r.key; hash = hash_of r.id r.text }) r.next

let rec words_of words hash k =
  if k > hash land 3 then words
  else words_of (Word { next = words; value = (hash lsr (8 * k)) land 255 }) hash (k + 1)

let rec sum_words sum = function End -> sum | Word w -> sum_words (sum + w.value) w.next

let rec split batch = function
  | No_parsed -> batch
  | Parsed p ->
      let words = words_of End p.hash 0 in
      split (Result { next = batch; text = p.text; words; key = p.key; value = sum_words 0 words }) p.next

let counter_for l key =
  if l.table.(key) == No_counter then
    l.table.(key) <- Counter { text = Bytes.empty; words = End; count = 0; sum = 0 };
  l.table.(key)

let add l counter text words value =
  match counter with
  | No_counter -> ()
  | Counter t ->
      if t.count land 3 = 0 then begin
        t.text <- text;
        t.words <- words
      end;
      t.count <- t.count + 1;
      t.sum <- t.sum + value;
      l.c <- Job.mix l.c (t.sum + Char.code (Bytes.get t.text 0))

let rec count l = function
  | No_result -> ()
  | Result r ->
      add l (counter_for l r.key) r.text r.words r.value;
      count l r.next

(* ---- the threads ---- *)

(* The second thread reads and splits, the first parses and counts; alone it does all four. *)
let run_stages l first second =
  for batch = 0 to l.batches + lag - 1 do
    let id = batch * batch_length in
    if second && batch < l.batches then Ring.put l.records (read l No_record id (id + batch_length));
    if first && batch < l.batches then Ring.put l.parses (parse No_parsed (Ring.take l.records));
    if second && batch >= lag then Ring.put l.results (split No_result (Ring.take l.parses));
    if first && batch >= lag then count l (Ring.take l.results)
  done

let sum_counter c = function
  | Counter { count; words = Word w; _ } -> Job.mix c (count + w.value)
  | _ -> c

let run records job =
  let l =
    {
      records = Ring.make ring_length No_record;
      parses = Ring.make ring_length No_parsed;
      results = Ring.make ring_length No_result;
      table = Array.make (records / 8) No_counter;
      batches = records / batch_length;
      c = 0;
      job;
    }
  in
  if job.Job.threads = 1 then run_stages l true true
  else begin
    let second = Thread.create (Memory.guard (run_stages l false)) true in
    run_stages l true false;
    Thread.join second
  end;
  Array.fold_left sum_counter l.c l.table
