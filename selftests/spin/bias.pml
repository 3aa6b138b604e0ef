/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A receiver that is alone takes by a store, as long as its gate is open, and a
 * second one shuts the gate (ulib/base/rseq.h, ulib/lockfree/queue_open.c:
 * pulse__queue_join, queue_io.c: pulse__queue_take_alone).
 *
 * shows: no element is had twice or lost when a second receiver joins
 * case killed: the first receiver is killed at any step: what it did not store it has not had
 * twin no_fence: the second shuts the gate and goes on, with an ordinary barrier at most
 * twin fence_first: the second has its fence before it shuts the gate
 * twin store_goes_on: sent back, the first stores without another look at the gate
 *
 * between: the first one has looked at the gate and not stored yet. The fence
 * sends it back then, as does any preemption; it tries by compare-exchange after
 * that, which is right whatever the gate says.
 */
#define ELEMENTS 3

byte head;				/* the lane's */
bool gate = true;
bool between, sent_back;
bool joined;				/* the second one takes */
byte had[ELEMENTS];			/* ghost: how often each was */
bool killed;

inline have(which)
{
	had[which]++;
	assert(had[which] == 1)
}

/* Compare-exchange of head, after the copy. */
inline exchange(seen)
{
	atomic {
		if
		:: head == seen -> head = seen + 1; have(seen)
		:: else
		fi
	}
}

/* What a preemption does to who is in between. */
inline restart()
{
	if
	:: between -> between = false; sent_back = true
	:: else
	fi
}

proctype first()
{
	byte h;

	do
	:: head >= ELEMENTS -> break
	:: head < ELEMENTS ->
#ifdef CASE_killed
		if
		:: true
		:: atomic { true -> killed = true; between = false; goto over }
		fi;
#endif
		h = head;			/* the copy follows: it is h's */
		if
		:: h >= ELEMENTS -> goto over
		:: else
		fi;
		atomic {
			sent_back = false;
			if
			:: gate -> between = true
			:: else -> sent_back = true
			fi
		};
		/* Preempted here as often as it likes, by others too. */
		if
		:: atomic { between -> restart() }
		:: true
		fi;
#ifdef CASE_killed
		if
		:: true
		:: atomic { true -> killed = true; between = false; goto over }
		fi;
#endif
		atomic {
			if
#ifdef TWIN_store_goes_on
			:: between || (sent_back && gate == false) ->
				between = false; head = h + 1; have(h); goto next
#else
			:: between ->
				between = false; head = h + 1; have(h); goto next
#endif
			:: else
			fi
		};
		exchange(h);
next:		skip
	od;
over:	skip
}

proctype second()
{
	byte h;

#ifdef TWIN_fence_first
	atomic { restart() };
#endif
	gate = false;
#if !defined(TWIN_no_fence) && !defined(TWIN_fence_first)
	atomic { restart() };			/* B: pulse__rseq_fence */
#endif
	joined = true;
	do
	:: head >= ELEMENTS -> break
	:: head < ELEMENTS ->
		h = head;
		if
		:: h >= ELEMENTS -> break
		:: else
		fi;
		exchange(h)
	od
}

init
{
	byte k;

	atomic {
		run first();
		run second()
	}
	timeout;
	assert(head == ELEMENTS);
	for (k : 0 .. ELEMENTS - 1) {
		assert(had[k] == 1)
	}
}
