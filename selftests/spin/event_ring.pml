/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The event ring (kmod/event.c and ulib/backend/kernel_events.c): writers that a
 * lock orders and that wait for nobody, one reader in user space.
 *
 * shows: events arrive whole and in order; each arrives or is counted as dropped; no writer waits for the reader
 * case busy: a record is given out with the busy bit and written after the lock, as the ABI allows
 * case hostile: the reader's position is anything at any time: a writer ends no less, and each event is in the ring or counted
 * twin publish_first: the position goes on before the record is written
 * twin no_room_look: the writer writes without looking at the reader's position
 * twin drop_uncounted: an event that finds no room is not counted
 * twin consume_first: the reader raises its position, then reads
 * twin busy_unseen: as case busy, and the reader does not look at the bit
 * twin busy_late: as case busy, and the bit is set after the position went on
 *
 * A record is written in two steps (HALF, then its number). Positions are bytes
 * that wrap around, as the kernel's do at 64 bits.
 */
#define N		2
#define WRITERS		2
#define EVENTS		3	/* a writer */
#define HALF		99
#define FIRST		254	/* positions wrap around */

#if defined(CASE_busy) || defined(TWIN_busy_unseen) || defined(TWIN_busy_late)
#define BUSY 1
#else
#define BUSY 0
#endif

byte prod = FIRST, cons = FIRST, dropped;
byte slot[N];
bool busy[N];
bool lock;

byte number;			/* ghost: events so far, in the lock's order */
byte written;			/* ghost: of these, in the ring */
byte writers_over;

proctype writer()
{
	byte i, mine, c;

	do
	:: i == EVENTS -> break
	:: i < EVENTS ->
		i++;
		atomic { !lock -> lock = true };
		number++;
		mine = number;
		c = cons;				/* J, acquire; untrusted */
		if
#ifndef TWIN_no_room_look
		:: ((prod - c) & 255) > N - 1 ->
#ifndef TWIN_drop_uncounted
			dropped++;
#endif
			lock = false
#endif
		:: else ->
			c = prod;
			written++;
#if BUSY
#ifndef TWIN_busy_late
			busy[c % N] = true;
#endif
			prod = (c + 1) & 255;		/* I, release */
#ifdef TWIN_busy_late
			busy[c % N] = true;
#endif
			lock = false;
			slot[c % N] = HALF;
			slot[c % N] = mine;
			busy[c % N] = false		/* release */
#else
#ifdef TWIN_publish_first
			prod = (c + 1) & 255;
#endif
			slot[c % N] = HALF;
			slot[c % N] = mine;
#ifndef TWIN_publish_first
			prod = (c + 1) & 255;		/* I, release */
#endif
			lock = false
#endif
		fi
	od;
	writers_over++
}

#ifndef CASE_hostile
proctype reader()
{
	byte pos = FIRST, last, got, value;

	do
	:: writers_over == WRITERS && prod == pos -> break
	:: prod != pos ->				/* I, acquire */
#ifndef TWIN_busy_unseen
		!busy[pos % N];				/* acquire; else comes again */
#endif
#ifdef TWIN_consume_first
		cons = (pos + 1) & 255;
#endif
		value = slot[pos % N];
		assert(value != HALF && value > last);
		last = value;
		got++;
		pos = (pos + 1) & 255;
#ifndef TWIN_consume_first
		cons = pos					/* J, release */
#endif
	od;
	assert(got + dropped == number && got == written)
}
#else
proctype scribbler()
{
	do
	:: cons = 0
	:: cons = 255
	:: cons = prod
	:: cons = prod + 1
	:: cons = prod - N
	:: writers_over == WRITERS -> break
	od;
	assert(written + dropped == number)
}
#endif

init {
	atomic {
		byte i;

		do
		:: i == WRITERS -> break
		:: i < WRITERS -> run writer(); i++
		od;
#ifndef CASE_hostile
		run reader()
#else
		run scribbler()
#endif
	}
}
