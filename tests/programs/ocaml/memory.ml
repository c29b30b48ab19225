(* SPDX-License-Identifier: MIT
   memory.ml -- the end of the whole process when any thread of it runs out of memory. *)

let guard f x =
  try f x
  with Out_of_memory ->
    prerr_endline "programs: out of memory";
    Unix._exit 4
