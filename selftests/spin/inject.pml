/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A node's queue of tasks (ulib/pool/inject.h): several are put in and taken out
 * at once, next to each other, by turns and one exchange of the position.
 *
 * shows: no task twice, none lost or torn, in order of their places; what is claimed was ready
 * case one_out: one puts in and two take out, one of them singly
 * twin gap: a take claims over an entry that is still being put in
 * twin turn_first: a push hands a slot on before the task is in it
 * twin free_first: a take hands a slot on before it has read the task
 * twin claim_by_store: a take moves the position without an exchange
 * twin overrun: a push claims as many as it has, whatever their turns say
 *
 * It ends when ALL tasks were taken, some laps later.
 */
#define N	2

#if defined(CASE_one_out) || defined(TWIN_claim_by_store)
#define PUSHERS	1
#define EACH	5
#define POPPERS	2
#else
#define PUSHERS	2
#define EACH	3
#define POPPERS	1
#endif
#define BATCH	2
#define ALL	(PUSHERS * EACH)
#define FREE(p)	(((p) / N) * 2)

byte enqueue, dequeue;
byte turn[N], slot[N];

bool had[ALL + 1];			/* ghosts */
byte nr_had;
byte order[ALL];			/* what lies at each place */

proctype pusher(byte me)
{
	byte p, n, i, want, given;

	do
	:: given == EACH -> break
	:: else ->
		want = (EACH - given < BATCH -> EACH - given : BATCH);
		p = enqueue;
		n = 0;
		do
		:: n < want ->
			if
#ifdef TWIN_overrun
			:: n > 0 || turn[(p + n) % N] == FREE(p + n) -> n++
#else
			:: turn[(p + n) % N] == FREE(p + n) -> n++	/* D, acquire */
#endif
			:: else -> break
			fi
		:: else -> break
		od;
		if
		:: n == 0 ->
			/* Full, or late: comes again when that changes. */
			(enqueue != p || turn[p % N] == FREE(p));
			goto again
		:: else
		fi;
		atomic {
			if
			:: enqueue == p -> enqueue = p + n
			:: else -> goto again
			fi
		};
		i = 0;
		do
		:: i < n ->
			given++;
			order[p] = me * EACH + given;
#ifdef TWIN_turn_first
			turn[p % N] = FREE(p) + 1;
			slot[p % N] = me * EACH + given;
#else
			slot[p % N] = me * EACH + given;
			turn[p % N] = FREE(p) + 1;			/* A, release */
#endif
			p++;
			i++
		:: else -> break
		od;
again:		skip;
		d_step { p = 0; n = 0; i = 0; want = 0 }
	od
}

proctype popper(byte most)
{
	byte p, n, i, task;

	do
	:: nr_had == ALL -> break
	:: atomic { dequeue < ALL -> p = dequeue };
		n = 0;
		do
		:: n < most && p + n < ALL ->
			if
#ifdef TWIN_gap
			:: n > 0 && p + n < enqueue -> n++
#endif
			:: turn[(p + n) % N] == FREE(p + n) + 1 -> n++	/* B, acquire */
			:: else -> break
			fi
		:: else -> break
		od;
		if
		:: n == 0 ->
			(dequeue != p || turn[p % N] == FREE(p) + 1);
			goto again
		:: else
		fi;
#ifdef TWIN_claim_by_store
		dequeue = p + n;
#else
		atomic {
			if
			:: dequeue == p -> dequeue = p + n
			:: else -> goto again
			fi
		};
#endif
		i = 0;
		do
		:: i < n ->
#ifdef TWIN_free_first
			turn[p % N] = FREE(p + N);
			task = slot[p % N];
#else
			task = slot[p % N];
			turn[p % N] = FREE(p + N);			/* C, release */
#endif
			d_step {
				assert(task != 0 && task == order[p]);
				assert(!had[task]);
				had[task] = true;
				nr_had++
			};
			p++;
			i++
		:: else -> break
		od;
again:		skip;
		d_step { p = 0; n = 0; i = 0; task = 0 }
	od
}

init
{
	byte k;

	atomic {
		for (k : 0 .. PUSHERS - 1) {
			run pusher(k)
		}
		for (k : 1 .. POPPERS) {
			run popper((k == 1 -> BATCH : 1))
		}
	};
	nr_had == ALL;
	assert(enqueue == ALL && dequeue == ALL);
	for (k : 0 .. N - 1) {
		assert(turn[k] == FREE(ALL + (N - ALL % N + k) % N))
	}
}
