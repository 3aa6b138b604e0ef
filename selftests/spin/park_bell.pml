/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A worker that sleeps now in its backend, now at its bell: ulib/backend/park.c.
 *
 * shows: whichever way it sleeps, and however late a waker pays, no wake-up is lost
 * case three: three wakers, of one job each
 * twin outside_late: how it sleeps is written after the word says PARKING
 * twin drain: the bell is emptied after the announcement, before the sleep
 * twin no_recheck: the parker does not look again after it said PARKING
 *
 * A worker takes what it finds, then parks, in one of the two ways, for ever.
 * When nothing can move any more ("timeout"), no work may be left. A descriptor
 * that becomes ready ends a sleep at the bell, IO times in all; then a waker that
 * has won the word pays later, into the next sleep or past it.
 */
#ifdef CASE_three
#define WAKERS	3
#define JOBS	1
#define IO	1
#else
#define WAKERS	2
#define JOBS	2
#define IO	2
#endif

#define RUNNING		0
#define PARKING		1
#define NOTIFIED	2
#define WORD(e, s)	((e) * 4 + (s))
#define STATE(word)	((word) & 3)

byte work;
byte park;				/* u->park; an epoch of one bit is harsher */
bool outside;				/* slot->outside */
bool bell;				/* the eventfd is readable */
bool sleeper;				/* in the futex's queue */
byte io = IO;

active proctype worker()
{
	bit epoch, at_bell;
	byte word;

end:	do
	:: work > 0 -> work--
	:: else ->
		epoch = 1 - epoch;
		word = WORD(epoch, PARKING);
		if
		:: at_bell = 0
		:: at_bell = 1
		fi;
#ifndef TWIN_outside_late
		outside = at_bell;
#endif
		park = word;		/* (B) */
#ifdef TWIN_outside_late
		outside = at_bell;
#endif
#ifndef TWIN_no_recheck
		if
		:: work > 0 ->
			if		/* pulse__withdraw */
			:: d_step { park == word -> park = WORD(epoch, RUNNING) };
				goto over
			:: park != word
			fi
		:: else
		fi;
#endif
#ifdef TWIN_drain
		bell = false;
#endif
		if
		:: at_bell ->
endb:			if
			:: d_step { bell -> bell = false }
			:: d_step { io > 0 -> io-- }
			fi
		:: else ->
			if		/* FUTEX_WAIT: under the bucket's lock */
			:: d_step { park != word -> skip }
			:: d_step { park == word -> sleeper = true };
endf:				!sleeper
			fi
		fi;
		park = WORD(epoch, RUNNING);	/* pulse__park_over */
over:		skip
	od
}

active [WAKERS] proctype waker()
{
	byte jobs = JOBS, word;

	do
	:: jobs > 0 ->
		jobs--;
		work++;			/* publish, (A) */
		word = park;
		if
		:: STATE(word) == PARKING ->
			if
			:: d_step { park == word -> park = word + 1 };
				if	/* pulse__pay */
				:: outside -> bell = true
				:: else -> sleeper = false
				fi
			:: park != word
			fi
		:: else
		fi
	:: else -> break
	od
}

active proctype nobody_is_forgotten()
{
	timeout -> assert(work == 0)
}
