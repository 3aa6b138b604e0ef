/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lane of a queue (ulib/lockfree/lane_inline.h): one sender, many receivers
 * that copy before they claim, a sender that may drop the oldest; each may be
 * killed between any two steps.
 *
 * shows: no element twice, none torn, none lost but dropped ones, in order; who is killed has taken nothing
 * case keep: the sender does not drop: it stops at a full lane
 * case batch: two elements in one publication and one claim
 * twin claim_by_store: a receiver raises head without a compare-exchange
 * twin copy_after_claim: a receiver claims, then copies; killed between, an element is lost
 * twin drop_by_store: the sender drops the oldest without a compare-exchange
 * twin publish_first: the sender raises tail before it wrote the slot
 * twin no_room_look: the sender writes without looking at head
 *
 * An element is written in two steps (HALF, then its value). The sender is
 * followed by another one when it was killed, which goes on at tail.
 */
#define N		2
#define RECEIVERS	2
#define ELEMENTS	3
#define HALF		99

#if defined(CASE_batch)
#define BATCH 2
#else
#define BATCH 1
#endif

byte head, tail;
byte slot[N];
byte kills = 1;				/* that many are killed, whoever */

byte order[8];				/* ghost: value at each position */
bool had[8];				/* ghost: by value */
byte nr_had, nr_dropped;
bool sender_over;

proctype sender()
{
	byte t, h, n, value = 1, seen;

start:	value = value - n;		/* what was not published was never there */
	t = tail;			/* also the next one's, after a death */
	h = head;
	n = 0;
	do
	:: value > ELEMENTS -> break
	:: atomic { kills > 0 -> kills-- }; goto start		/* killed; another one */
	:: value <= ELEMENTS ->
#ifndef TWIN_no_room_look
		if
		:: t + n - h >= N ->
			h = head;				/* D, acquire */
			if
			:: t + n - h >= N ->
				if
				:: n > 0 -> goto publish
				:: else
				fi;
#ifdef CASE_keep
				head != h;	/* comes again when there is room */
				h = head;
#else
#ifdef TWIN_drop_by_store
				seen = head;
				head = seen + 1;
				nr_dropped++;
				h = seen + 1;
#else
				atomic {			/* pulse__lane_drop */
					if
					:: head == h ->
						head = h + 1;
						nr_dropped++
					:: else
					fi;
					h = head
				};
#endif
#endif
			:: else
			fi
		:: else
		fi;
#endif
		order[t + n] = value;
#ifdef TWIN_publish_first
		tail = t + 1;
#endif
		slot[(t + n) % N] = HALF;
		if
		:: atomic { kills > 0 -> kills-- }; goto start	/* half an element */
		:: true
		fi;
		slot[(t + n) % N] = value;
		value++;
		n++;
		if
		:: n < BATCH && value <= ELEMENTS -> goto more
		:: else
		fi;
publish:	t = t + n;
		n = 0;
		tail = t;					/* A, release */
more:		skip
	od;
	sender_over = true
}

proctype receiver()
{
	byte h, t, n, i, value[2];

	do
	:: sender_over && head == tail -> break
	:: head != tail ->
		h = head;
		t = tail;					/* B, acquire */
		if
		:: t == h || t - h > N -> goto next		/* h is old */
		:: else
		fi;
		n = (t - h < BATCH -> t - h : BATCH);
#ifdef TWIN_copy_after_claim
		atomic {
			if
			:: head == h -> head = h + n
			:: else -> goto next
			fi
		};
		if
		:: atomic { kills > 0 -> kills-- }; goto next		/* killed, followed */
		:: true
		fi;
#endif
		i = 0;
		do
		:: i < n -> value[i] = slot[(h + i) % N]; i++
		:: else -> break
		od;
		if
		:: atomic { kills > 0 -> kills-- }; goto next		/* killed, followed */
		:: true
		fi;
#ifdef TWIN_claim_by_store
		head = h + n;
#elif !defined(TWIN_copy_after_claim)
		atomic {					/* C, release */
			if
			:: head == h -> head = h + n
			:: else -> goto next
			fi;
#else
		atomic {
#endif
#ifdef TWIN_claim_by_store
		atomic {
#endif
			i = 0;
			do
			:: i < n ->
				assert(value[i] != 0 && value[i] != HALF);
				assert(value[i] == order[h + i]);
				assert(!had[value[i]]);
				had[value[i]] = true;
				nr_had++;
				i++
			:: else -> break
			od;
		};
next:		skip;
		d_step { h = 0; t = 0; n = 0; i = 0; value[0] = 0; value[1] = 0 }
	od
}

init
{
	byte k;

	atomic {
		run sender();
		for (k : 1 .. RECEIVERS) {
			run receiver()
		}
	}
	timeout;
	assert(nr_had + nr_dropped == ELEMENTS && head == tail)
}
