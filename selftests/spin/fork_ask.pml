/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A worker asks another one for a forked job, in that one's own memory, which may
 * be about to go: ulib/pool/ask.c.
 *
 * shows: nobody writes to the memory of a thread once it has ended
 * case three: three who ask, and a thread that is followed by another
 * twin no_count: who asks does not say so first
 * twin no_look: who asks uses what it saw before it said so
 * twin no_wait: who ends does not wait for those who write
 * twin wait_early: ... waits before it takes the address away
 *
 * Both orders are seq_cst, so interleavings are all there is. The memory is one
 * byte for each thread in turn: whether it is mapped.
 */
#ifdef CASE_three
#define ASKERS	3
#define LIVES	2
#else
#define ASKERS	2
#define LIVES	2
#endif

bool mapped[3];
byte ask;				/* whose memory; 0: nobody's */
byte askers;

proctype worker()
{
	byte life = 1;

	do
	:: life <= LIVES ->
		mapped[life] = true;
		ask = life;		/* pulse__ask_begin */
#ifdef TWIN_wait_early
		askers == 0;
#endif
		ask = 0;		/* pulse__ask_end */
#if !defined(TWIN_no_wait) && !defined(TWIN_wait_early)
		askers == 0;
#endif
		mapped[life] = false;
		life++
	:: else -> break
	od
}

proctype asker()
{
	byte seen, again = 0;

	do
	:: again < 2 ->
		seen = ask;		/* pulse__fork_ask */
		if
		:: seen ->
#ifndef TWIN_no_count
			askers++;
#endif
#ifndef TWIN_no_look
			seen = ask;
#endif
			if
			:: seen -> assert(mapped[seen])
			:: else
			fi;
#ifndef TWIN_no_count
			askers--
#endif
		:: else
		fi;
		again++
	:: else -> break
	od
}

init {
	byte i = 0;

	atomic {
		run worker();
		do
		:: i < ASKERS -> run asker(); i++
		:: else -> break
		od
	}
}
