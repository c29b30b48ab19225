/* SPDX-License-Identifier: MIT */
/* apply.h -- the rules by which native functions and heap values take part in the net. See apply.c, README.md. */
#ifndef PN_APPLY_H
#define PN_APPLY_H

#include "worker.h"

/** function ~ CON: an APP node goes to meet the argument. */
void pn_apply(struct pn_worker *w, pn_port function, pn_port con);
/** APP ~ a value: capture it, or run the native. A safepoint. */
void pn_apply_to_value(struct pn_worker *w, pn_port app, pn_port value);
/** APP ~ a binary node: a DUP passes through, everything else is an error. */
void pn_apply_to_node(struct pn_worker *w, pn_port app, pn_port binary);
/** A nullary node met a binary one for which there is no rule: stop with a message. */
void pn_fail_meeting(struct pn_worker *w, pn_port nullary, pn_port binary);

enum pn_sign { PN_SIGN_ZERO, PN_SIGN_OTHER, PN_SIGN_FAILED };
/** For a switch: what an exact integer is; one that is not zero is replaced by its predecessor. A safepoint. */
enum pn_sign pn_predecessor(struct pn_worker *w, pn_port ptr);

/** ASY ~ a node that needs its value: go on when it is there, park the pair otherwise. A safepoint. */
void pn_asy_wait(struct pn_worker *w, pn_port asy, pn_port binary);
/** One more port for the same pending work. */
pn_port pn_asy_share(struct pn_worker *w, pn_port asy);
void pn_asy_release(struct pn_worker *w, pn_port asy);

#endif
