(* SPDX-License-Identifier: MIT
   fragment.ml -- payloads only: fill, drop three quarters at random, fill with bigger ones. *)

(* An empty slot holds this one; no payload is empty. *)
let nothing = Bytes.empty

type t = { slots : Bytes.t array; mutable live : int; job : Job.t }

let size f =
  let base = 16 lsl Job.below f.job 9 in
  base + Job.below f.job base

let fill f i round bytes =
  let payload = Bytes.create bytes in
  Bytes.set payload 0 (Char.unsafe_chr (i land 255));
  Bytes.set payload (bytes - 1) (Char.unsafe_chr round);
  f.slots.(i) <- payload;
  f.live <- f.live + bytes

let drop_most f =
  for i = 0 to Array.length f.slots - 1 do
    if Job.below f.job 4 <> 0 then begin
      f.live <- f.live - Bytes.length f.slots.(i);
      f.slots.(i) <- nothing
    end
  done

let rec refill f i round target =
  if i < Array.length f.slots && f.live < target then begin
    if f.slots.(i) == nothing then fill f i round ((1 + (round land 1)) * size f);
    refill f (i + 1) round target
  end

let sum f c =
  let add c payload =
    if payload == nothing then c
    else
      let bytes = Bytes.length payload in
      Job.mix c (Char.code (Bytes.get payload 0) + Char.code (Bytes.get payload (bytes - 1)) + bytes)
  in
  Array.fold_left add c f.slots

let run slots job =
  let f = { slots = Array.make slots nothing; live = 0; job } in
  for i = 0 to slots - 1 do
    fill f i 0 (size f)
  done;
  let target = f.live in
  let c = ref 0 in
  for round = 1 to 4 do
    drop_most f;
    refill f 0 round target;
    c := sum f !c
  done;
  !c
