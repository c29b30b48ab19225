/* SPDX-License-Identifier: MIT */
/* model16.c -- the model test with objects aligned to 16 bytes.
 *
 * @test one quick --threads 1 --ops 100000 --seed 3
 * @test two model --ops 300000 --seed 4
 */
#define VARVE_GRANULE 16
#include "model.c"
