/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The work-stealing deque (ulib/lockfree/deque.c, Chase and Lev): its owner
 * pushes and takes at the bottom, two thieves steal at the top.
 *
 * shows: each item is had exactly once, also the last one and over a wrap
 * twin take_without_cas: the owner keeps the last item without asking top
 * twin steal_without_cas: a thief raises top without looking whether it moved
 * twin steal_reads_late: a thief reads the slot after it raised top
 * twin take_without_fence: the owner's load of top overtakes its store of bottom
 *
 * Which orderings make the real machine behave like this model is what
 * selftests/litmus/chase_lev_*.litmus say; the last twin is what a missing one
 * looks like. The buffer holds two items and three are pushed, so that a slot
 * is written again while a thief may still look at it.
 */
#define SLOTS	2
#define PUSHES	3
#define TAKES	3
#define STEALS	2			/* attempts of each thief */
#define THIEVES	2

/* Signed, and bottom may be one below top for a moment, as in the code. */
short top, bottom;
byte slot[SLOTS];
byte had[PUSHES + 1];			/* ghost: how often each item was had */
byte pushed;

inline have(item)
{
	d_step {
		assert(item != 0);
		had[item]++;
		assert(had[item] == 1)
	}
}

proctype owner()
{
	short b, t;
	byte takes, item;

	do
	:: pushed < PUSHES ->
		b = bottom;
		t = top;				/* acquire */
		if
		:: b - t >= SLOTS			/* full */
		:: else ->
			slot[b % SLOTS] = pushed + 1;
			pushed++;
			bottom = b + 1			/* release */
		fi
	:: takes < TAKES ->
		takes++;
		b = bottom - 1;
#ifdef TWIN_take_without_fence
		t = top;
		bottom = b;
#else
		bottom = b;
		/* seq_cst fence, litmus: chase_lev_take */
		t = top;
#endif
		if
		:: t > b ->				/* empty */
			bottom = b + 1
		:: t == b ->				/* the last one */
			item = slot[b % SLOTS];
#ifdef TWIN_take_without_cas
			have(item);
#else
			atomic {
				if
				:: top == t -> top = t + 1; have(item)
				:: else				/* a thief was faster */
				fi
			}
#endif
			bottom = b + 1
		:: else ->
			item = slot[b % SLOTS];
			have(item)
		fi
	:: break
	od
}

proctype thief()
{
	short b, t;
	byte n, item;

	do
	:: n == STEALS -> break
	:: else ->
		n++;
		t = top;				/* acquire */
		/* seq_cst fence, litmus: chase_lev_take */
		b = bottom;				/* acquire, litmus: chase_lev_push */
		if
		:: t >= b				/* empty */
		:: else ->
			item = slot[t % SLOTS];
#ifdef TWIN_steal_without_cas
			top = t + 1;
			have(item)
#else
			atomic {
				if
				:: top == t ->
					top = t + 1;
#ifdef TWIN_steal_reads_late
					goto late
#else
					have(item)
#endif
				:: else			/* somebody was faster */
				fi
			}
#endif
		fi;
		goto next;
late:		item = slot[t % SLOTS];
		have(item);
next:		skip
	od
}

/* When all came to rest: what was pushed was had, or lies there still. */
init
{
	byte k, sum;

	atomic {
		run owner();
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
