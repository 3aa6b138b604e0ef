/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The turn scheme of the node rings (include/uapi/linux/pulse.h, struct
 * pulse_nring_hdr; ulib/lockfree/ring.c and ring_inline.h): many producers, many
 * consumers.
 *
 * shows: no loss, no duplicate, no half-written entry, first in first out
 * case batch: one claim takes two neighbouring places where two are ready
 * twin batch_looks_at_first: as batch, but it looks at the turn of the first place only
 * twin claim_without_cas: a position is claimed by a load and a store
 * twin turn_before_data: the push passes the turn on before it wrote the data
 * twin turn_before_read: the pop passes the turn on before it read the data
 * twin turn_without_lap: the turn says full or empty and not which lap
 *
 * ENTRIES entries and PRODUCERS * ITEMS elements, so that each entry is used in
 * more than one lap. An element is written in two steps (HALF, then its value),
 * as 56 bytes are. A producer or consumer that finds the ring full or empty
 * waits here instead of returning -EAGAIN: the caller would come again.
 */
#define ENTRIES		2
#define PRODUCERS	2
#define CONSUMERS	2
#define ITEMS		2		/* of each producer */
#define TOTAL		4

#if defined(CASE_batch) || defined(TWIN_batch_looks_at_first)
#define BATCH		2
#else
#define BATCH		1
#endif

#define HALF		99
#define VALUE(p, n)	((p) * ITEMS + (n) + 1)
#define PRODUCER_OF(v)	(((v) - 1) / ITEMS)

#ifdef TWIN_turn_without_lap
#define TURN_PUSH(pos)	0
#define TURN_POP(pos)	1
#define TURN_NEXT(pos)	0
#else
#define TURN_PUSH(pos)	(2 * ((pos) / ENTRIES))
#define TURN_POP(pos)	(2 * ((pos) / ENTRIES) + 1)
#define TURN_NEXT(pos)	(2 * ((pos) / ENTRIES) + 2)
#endif

byte enqueue, dequeue;
byte turn[ENTRIES], data[ENTRIES];

byte order[TOTAL];			/* ghost: value pushed at each position */
bool popped[TOTAL + 1];			/* ghost: by value */
byte nr_popped;

/* claimed: cmpxchg(&word, pos, pos + nr), or the twin's load and store */
#ifdef TWIN_claim_without_cas
#define CLAIM(word, pos, nr)						\
	if								\
	:: word == pos -> word = pos + nr; claimed = true		\
	:: else -> claimed = false					\
	fi
#else
#define CLAIM(word, pos, nr)						\
	skip;		/* a step for READY to end at */		\
	d_step {							\
		claimed = (word == pos);				\
		word = (claimed -> pos + nr : word)			\
	}
#endif

/* nr: places from pos on that are ready, up to BATCH; pos itself is */
#ifdef TWIN_batch_looks_at_first
#define READY(nr, pos, want, most)					\
	nr = (most < BATCH -> most : BATCH)
#else
#define READY(nr, pos, want, most)					\
	nr = 1;								\
	do								\
	:: nr < BATCH && nr < most &&					\
	   turn[(pos + nr) % ENTRIES] == want(pos + nr) -> nr++		\
	:: else -> break						\
	od
#endif

proctype producer(byte me)
{
	byte n, pos, i, nr;
	bool claimed;

	do
	:: n == ITEMS -> break
	:: else ->
		/* not full; when this holds a real push gets further */
		turn[enqueue % ENTRIES] == TURN_PUSH(enqueue);
		pos = enqueue;
		if
		:: turn[pos % ENTRIES] != TURN_PUSH(pos)	/* full, or pos is old */
		:: else ->
			READY(nr, pos, TURN_PUSH, ITEMS - n);
			CLAIM(enqueue, pos, nr);
			do
			:: !claimed || nr == 0 -> break
			:: else ->
				i = pos % ENTRIES;
				order[pos] = VALUE(me, n);
#ifdef TWIN_turn_before_data
				turn[i] = TURN_POP(pos);
#endif
				data[i] = HALF;
				data[i] = VALUE(me, n);
#ifndef TWIN_turn_before_data
				turn[i] = TURN_POP(pos);	/* release */
#endif
				n++;
				nr--;
				pos++
			od;
			nr = 0
		fi
	od
}

proctype consumer()
{
	byte pos, i, nr, value;
	byte last[PRODUCERS];
	bool claimed;

	do
	:: nr_popped == TOTAL -> break
	:: turn[dequeue % ENTRIES] == TURN_POP(dequeue) ->	/* not empty */
		pos = dequeue;
		if
		:: turn[pos % ENTRIES] != TURN_POP(pos)		/* empty, or pos is old */
		:: else ->
			READY(nr, pos, TURN_POP, TOTAL - pos);
			CLAIM(dequeue, pos, nr);
			do
			:: !claimed || nr == 0 -> break
			:: else ->
				i = pos % ENTRIES;
#ifdef TWIN_turn_before_read
				turn[i] = TURN_NEXT(pos);
#endif
				value = data[i];
#ifndef TWIN_turn_before_read
				turn[i] = TURN_NEXT(pos);	/* release */
#endif
				d_step {
					assert(value != 0 && value != HALF);
					assert(!popped[value]);	/* no duplicate */
					popped[value] = true;
					nr_popped++;
					assert(value == order[pos]);	/* first in first out */
					/* ... so each producer's come in its order */
					assert(value > last[PRODUCER_OF(value)]);
					last[PRODUCER_OF(value)] = value;
					value = 0
				};
				nr--;
				pos++
			od;
			nr = 0
		fi
	od
}

/* No loss: an element that nobody can get is an invalid end state. */
init
{
	byte k;

	atomic {
		for (k : 0 .. PRODUCERS - 1) {
			run producer(k)
		}
		for (k : 0 .. CONSUMERS - 1) {
			run consumer()
		}
	}
}
