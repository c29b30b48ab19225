(* SPDX-License-Identifier: MIT
   programs.ml -- runs a whole program and prints its result and what it cost, as tests/programs/README.md has it.
   How much memory is used is in the environment's OCAMLRUNPARAM, o=..: the collector has no limit to keep. It tells how
   many collections it did but not for how long; only forced ones are timed here. Collections are those of the major
   heap, a forced one counts as several. Where a collection needs memory that the system does not give, the runtime
   says "out of memory" and aborts; the exit status is 4 only where an allocation of the program fails. *)

(* A program, and what it takes as SIZE: multiples of step, from least on. *)
type kind = { run : int -> Job.t -> int; least : int; step : int }

let kinds =
  [
    ("binary_trees", { run = Binary_trees.run; least = 6; step = 1 });
    ("gcbench", { run = Gcbench.run; least = 9; step = 1 }) (* with 8 the array would have no word 1000 *);
    ("quad_trees", { run = Quad_trees.run; least = 5; step = 1 });
    ("lru", { run = Lru.run; least = 1; step = 1 });
    ("fragment", { run = Fragment.run; least = 1; step = 1 });
    ("graph", { run = Graph.run; least = 1; step = 1 });
    ("queue", { run = Queue.run; least = 32; step = 32 });
    ("sessions", { run = Sessions.run; least = 1; step = 1 });
    ("phases", { run = Phases.run; least = 1; step = 1 });
    ("rewire", { run = Rewire.run; least = 1; step = 1 });
    ("pipeline", { run = Pipeline.run; least = 128; step = 128 });
  ]

let refuse why =
  prerr_endline ("programs: " ^ why);
  exit 2

let usage () = refuse "arguments are PROGRAM SIZE THREADS [--warm N] [--heap BYTES]"

let number text ~least ~most =
  match int_of_string_opt text with
  | Some value when value >= least && value <= most -> value
  | _ -> refuse (Printf.sprintf "%s is not a number from %d to %d" text least most)

let rec options warm = function
  | [] -> warm
  | "--warm" :: text :: rest -> options (number text ~least:0 ~most:max_int) rest
  | "--heap" :: text :: rest ->
      ignore (number text ~least:1 ~most:max_int);
      options warm rest
  | _ -> usage ()

(* Runs the program once for each job, at the same time; in this thread if there is one job. *)
let together run size jobs =
  let results = Array.make (Array.length jobs) 0 in
  let work i = results.(i) <- run size jobs.(i) in
  if Array.length jobs = 1 then work 0
  else Array.iter Thread.join (Array.mapi (fun i _ -> Thread.create (Memory.guard work) i) jobs);
  Array.fold_left Job.mix 0 results

let measure name size threads warm =
  let kind =
    match List.assoc_opt name kinds with Some kind -> kind | None -> refuse ("no program " ^ name)
  in
  let size = number size ~least:kind.least ~most:0x7fffffff in
  if size mod kind.step <> 0 then refuse (Printf.sprintf "the size is a multiple of %d" kind.step);
  (* The two threads of these are one job, every other program gives each thread its own. *)
  let count = if name = "queue" || name = "pipeline" then 1 else threads in
  let jobs () = Array.init count (fun number -> Job.make ~number ~threads) in
  for _ = 1 to warm do
    ignore (together kind.run size (jobs ()))
  done;
  let last = jobs () in
  let collections = (Gc.quick_stat ()).major_collections in
  let start = Unix.gettimeofday () in
  let checksum = together kind.run size last in
  let seconds = Unix.gettimeofday () -. start in
  let collections = (Gc.quick_stat ()).major_collections - collections in
  let forced job = List.rev_map (Printf.sprintf "%.3f") job.Job.forced in
  let pauses =
    if name = "graph" then "[" ^ String.concat "," (List.concat_map forced (Array.to_list last)) ^ "]" else "null"
  in
  Printf.printf
    "{\"program\":\"%s\",\"size\":%d,\"threads\":%d,\"checksum\":%d,\"seconds\":%.6f,\"gc_seconds\":null,\
     \"collections\":%d,\"pauses_ms\":%s}\n"
    name size threads checksum seconds collections pauses

let () =
  match Array.to_list Sys.argv with
  | _ :: name :: size :: threads :: rest ->
      let warm = options 0 rest in
      Memory.guard (measure name size (number threads ~least:1 ~most:2)) warm
  | _ -> usage ()
