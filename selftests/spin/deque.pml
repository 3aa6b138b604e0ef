/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The work-stealing deque (ulib/lockfree/deque_inline.h, Chase and Lev): its
 * owner pushes and takes at the bottom, two thieves steal at the top.
 *
 * shows: each item is had exactly once, also the last one and over a wrap
 * case grow: the buffer doubles under the thieves
 * case asym: the owner's stores of bottom lie in its store buffer for as long as they like; a thief's membarrier empties it
 * twin asym_no_heavy: as asym, but the thief has only a fence of its own
 * twin asym_unannounced: as asym, but the thief does not say that it is about
 * twin asym_announced_late: as asym, but it says so after its membarrier
 * twin asym_top_first: as asym, but the owner looks at top, and then whether there are thieves
 * twin take_without_cas: the owner keeps the last item without asking top
 * twin steal_without_cas: a thief raises top without looking whether it moved
 * twin steal_reads_late: a thief reads the slot after it raised top
 * twin take_without_fence: the owner's load of top overtakes its store of bottom
 * twin buf_first: as grow, but a thief loads the buffer before top and bottom
 *
 * Which orderings make a machine behave like this model is what
 * selftests/litmus/chase_lev*.litmus say; take_without_fence is what a missing
 * one looks like. Without growth the buffer holds two items and three are
 * pushed, so that a slot is written again while a thief may still look at it.
 */
#define PUSHES	3
#define TAKES	2
#define STEALS	2			/* attempts of each thief */
#define THIEVES	2

#if defined(CASE_grow) || defined(TWIN_buf_first)
#define MAX_MASK 3
#else
#define MAX_MASK 1
#endif

/* Signed: bottom is one below top for the moment of a take. */
short top, bottom;
byte buf;				/* which one is d->buf: 0, then 1 */
byte slot[8];				/* buffer 0: 0-3, buffer 1: 4-7 */
byte had[PUSHES + 1];			/* ghost: how often each item was had */
byte pushed;

#define MASK(which)	(1 + 2 * (which))
#define SLOT(which, pos) slot[4 * (which) + ((pos) & MASK(which))]

#if defined(TWIN_asym_no_heavy) || defined(TWIN_asym_unannounced) ||	\
	defined(TWIN_asym_announced_late) || defined(TWIN_asym_top_first)
#define CASE_asym
#endif
byte thieves;				/* past their first look, where asym */

#ifdef CASE_asym
short stored;				/* bottom, on its way */
bool pending;
#define BOTTOM(value)	atomic { !pending -> pending = true; stored = value }
#define DRAINED		!pending
#define OWN_BOTTOM	(pending -> stored : bottom)

proctype drain()
{
end:	do
	:: atomic { pending -> bottom = stored; pending = false }
	od
}
#else
#define BOTTOM(value)	bottom = value
#define DRAINED		true
#define OWN_BOTTOM	bottom
#endif

inline have(item)
{
	d_step {
		assert(item != 0);
		had[item]++;
		assert(had[item] == 1);
		item = 0
	}
}

proctype owner()
{
	short b, t, top_seen;
	byte takes, item, about;

	do
	:: pushed < PUSHES ->		/* pulse__deque_push */
		b = OWN_BOTTOM;
		if
		:: b - top_seen > MASK(buf) -> top_seen = top	/* acquire */
		:: else
		fi;
		if
		:: b - top_seen > MASK(buf) && MASK(buf) == MAX_MASK	/* full */
		:: else ->
			if
			:: b - top_seen > MASK(buf) ->	/* pulse__deque_grow */
				t = top_seen;
				do
				:: t < b -> SLOT(1, t) = SLOT(0, t); t++
				:: else -> break
				od;
				buf = 1			/* release */
			:: else
			fi;
			DRAINED;		/* stores keep their order */
			SLOT(buf, b) = pushed + 1;
			pushed++;
			BOTTOM(b + 1)			/* release */
		fi
	:: takes < TAKES ->		/* pulse__deque_take */
		takes++;
		b = OWN_BOTTOM;
		t = top;
		if
		:: t == b				/* empty, no fence needed */
		:: else ->
			b--;
#ifdef TWIN_take_without_fence
			t = top;
			bottom = b;
#else
			BOTTOM(b);
			t = top;			/* A before */
#endif
			if
			:: b > t ->
				item = SLOT(buf, b);
				have(item)
			:: b == t ->			/* the last one */
#ifdef CASE_asym
				about = thieves;		/* acquire */
#ifndef TWIN_asym_top_first
				t = top;
#endif
				if
				:: !about && t == b ->
					item = SLOT(buf, b);
					have(item);
					goto taken
				:: else
				fi;
#endif
				item = SLOT(buf, b);
#ifdef TWIN_take_without_cas
				have(item);
#else
				DRAINED;		/* by the exchange */
				atomic {
					if
					:: top == b -> top = b + 1; have(item)
					:: else		/* a thief was faster */
					fi
				}
#endif
				BOTTOM(b + 1)
			:: b < t ->			/* empty after all */
				BOTTOM(b + 1)
			fi
		fi;
#ifdef CASE_asym
taken:		skip
#endif
	:: break
	od
}

proctype thief()
{
	short b, t;
	byte n, item, which;
	bool announced;

	do
	:: n < STEALS ->		/* pulse__deque_steal */
		n++;
#ifdef TWIN_buf_first
		which = buf;
#endif
		t = top;				/* acquire */
		b = bottom;				/* a look, no more */
		if
		:: b - t <= 0 -> goto none
		:: else
		fi;
#if defined(CASE_asym) && !defined(TWIN_asym_unannounced) &&	\
	!defined(TWIN_asym_announced_late)
		thieves++;
		announced = true;
#endif
#ifndef TWIN_asym_no_heavy
		DRAINED;				/* B, where it is membarrier */
#endif
#ifdef TWIN_asym_announced_late
		thieves++;
		announced = true;
#endif
		b = bottom;				/* B before; acquire */
		if
		:: b - t <= 0 -> goto none
		:: else
		fi;
#ifndef TWIN_buf_first
		which = buf;				/* acquire */
#endif
#ifndef TWIN_steal_reads_late
		item = SLOT(which, t);
#endif
#ifdef TWIN_steal_without_cas
		top = t + 1;
		have(item);
#else
		atomic {
			if
			:: top != t -> goto none	/* somebody was faster */
			:: else ->
				top = t + 1;
#ifndef TWIN_steal_reads_late
				have(item)
#endif
			fi
		};
#ifdef TWIN_steal_reads_late
		item = SLOT(which, t);
		have(item);
#endif
#endif
none:		if
		:: announced -> thieves--; announced = false	/* release */
		:: else
		fi;
		d_step { item = 0; which = 0; b = 0; t = 0 }
	:: else -> break
	od
}

/* When all came to rest: what was pushed was had, or lies there still. */
init
{
	byte k, sum;

	atomic {
		run owner();
#ifdef CASE_asym
		run drain();
#endif
		for (k : 1 .. THIEVES) {
			run thief()
		}
	}
	timeout;
	for (k : 1 .. PUSHES) {
		sum = sum + had[k]
	}
	assert(sum + (bottom - top) == pushed)
}
