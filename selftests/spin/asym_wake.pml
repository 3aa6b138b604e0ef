/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Asymmetric barriers (ulib/base/asym.h) between who makes something true and
 * who sleeps until it is (ulib/lockfree/queue_wait.c).
 *
 * shows: no sleeper is forgotten, although the waker's side is a store and a load without a barrier
 * case many: two senders, two sleepers on one word
 * case fenced: the sender has a fence of its own, the sleeper one too, no membarrier
 * twin no_heavy: the sleeper looks again behind a fence of its own only
 * twin no_light: the sender's load may be moved before its store by the compiler
 * twin look_first: the sleeper looks before it says that it will sleep
 *
 * Each sender has a store buffer of one entry, which drains whenever it likes;
 * its load of the word does not wait for that. A fence waits until it is empty,
 * and membarrier waits until those of all senders were empty.
 */
#ifdef CASE_many
#define SENDERS		2
#define SLEEPERS	2
#else
#define SENDERS		1
#define SLEEPERS	1
#endif
#define PUSHES		2

byte tail[SENDERS];		/* in memory */
bool pending[SENDERS];		/* a store of tail that is not there yet */
bool word;			/* rx_wait & SLEEP */
byte asleep;			/* sleepers on the futex; woken ones leave it */
byte token;			/* wake-ups given and not yet noticed */
byte taken;

proctype drain(byte me)
{
end:	do
	:: atomic { pending[me] -> tail[me]++; pending[me] = false }
	od
}

proctype sender(byte me)
{
	byte n;
	bool was;

	do
	:: n == PUSHES -> break
	:: else ->
		n++;
#ifdef TWIN_no_light
		was = word;
#endif
		atomic { !pending[me] -> pending[me] = true };	/* the store */
#ifdef CASE_fenced
		!pending[me];					/* A: a fence */
#endif
#ifndef TWIN_no_light
		was = word;					/* A: light */
#endif
		if
		:: was ->
			/* an exchange empties the buffer: x86, or ACQ_REL */
			atomic { !pending[me] -> was = word; word = false };
			if
			:: was ->
				d_step {		/* FUTEX_WAKE */
					token = token + asleep;
					asleep = 0
				}
			:: else
			fi
		:: else
		fi
	od
}

inline look(found)
{
	atomic {
		if
		:: tail[0] + tail[SENDERS - 1] * (SENDERS - 1) > taken ->
			taken++;
			found = true
		:: else -> found = false
		fi
	}
}

proctype sleeper()
{
	bool found;

again:	look(found);
	if
	:: found -> goto again
	:: else
	fi;
#ifdef TWIN_look_first
	look(found);
	if
	:: found -> goto again
	:: else
	fi;
	word = true;
#else
	word = true;
#if !defined(TWIN_no_heavy) && !defined(CASE_fenced)
	!pending[0];			/* B: membarrier, all senders in turn */
	!pending[SENDERS - 1];
#endif
	look(found);
	if
	:: found -> goto again
	:: else
	fi;
#endif
	atomic {			/* FUTEX_WAIT: only while the word is as it was */
		if
		:: !word -> goto again
		:: else -> asleep++
		fi
	};
end:	atomic { token > 0 -> token-- };
	goto again
}

/* When nothing moves any more, all was taken. */
init
{
	byte k;

	atomic {
		for (k : 0 .. SENDERS - 1) {
			run drain(k);
			run sender(k)
		}
		for (k : 1 .. SLEEPERS) {
			run sleeper()
		}
	}
	timeout;
	assert(taken == SENDERS * PUSHES)
}
