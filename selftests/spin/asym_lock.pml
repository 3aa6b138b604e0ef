/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A thread's magazine of a slab (ulib/mem/slab_mag.c): its thread gets in by a
 * store and a load, others by membarrier.
 *
 * shows: never two of them inside, although the thread's way in has no barrier; each object is in one place
 * twin no_heavy: who comes from outside does without membarrier
 * twin no_wait: who comes from outside does not wait until the thread has left
 * twin claimed_first: the thread looks at claimed before it says busy
 *
 * The thread's store of busy lies in a store buffer of one entry, which drains
 * whenever it likes; stores keep their order, loads do not wait for them.
 */
#define OBJECTS	2
#define ROUNDS	3

byte nr = OBJECTS;			/* objects in the magazine */
byte node;				/* objects at the node */
byte used;				/* given out */
bool busy, claimed;
bool pending, stored;			/* of busy */
byte inside;				/* ghost: who is at the objects */

proctype drain()
{
end:	do
	:: atomic { pending -> busy = stored; pending = false }
	od
}

inline store_busy(value)
{
	atomic { !pending -> pending = true; stored = value }
}

inline in()	{ d_step { inside++; assert(inside == 1) } }

proctype thread()
{
	byte n, have;

	do
	:: n == ROUNDS -> break
	:: else ->
		n++;
#ifdef TWIN_claimed_first
		if
		:: claimed -> goto next
		:: else
		fi;
		store_busy(true);
#else
		store_busy(true);				/* A: light */
		if
		:: claimed -> store_busy(false); goto next
		:: else
		fi;
#endif
		in();
		have = nr;
		if
		:: have > 0 -> nr = have - 1; used++
		:: else
		fi;
		inside--;
		!pending;			/* stores before it are there first */
		store_busy(false);
next:		skip
	od
}

proctype other()
{
	byte n;

	claimed = true;
#ifndef TWIN_no_heavy
	!pending;						/* B: membarrier */
#endif
#ifndef TWIN_no_wait
	!busy;
#endif
	in();
	n = nr;
	node = node + n;
	nr = 0;
	inside--;
	claimed = false
}

init
{
	atomic {
		run drain();
		run thread();
		run other()
	}
	timeout;
	assert(nr + node + used == OBJECTS)
}
