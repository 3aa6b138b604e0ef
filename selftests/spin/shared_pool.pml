/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The place of a shared pool: ulib/pool/shared_queue.c and shared_member.c.
 *
 * shows: with processes dying anywhere, a task that was accepted is run, whole, and twice only where a process died with it in hand
 * case busy: two submitters, one of which lives, use the one place after each other
 * twin bit_first: a place's bit is set before its state
 * twin clear_late: a place's state is changed before its bit is cleared
 * twin no_mend: who sees a death does not set the bits that are missing
 * twin no_strike: who sees a death looks at the places before it strikes the dead
 * twin believe: whoever has a place is taken for dead
 * twin late_ticket: a process takes a place before its ticket is in the table
 *
 * One place. Process 1 runs tasks and sees deaths, process 2 submits, process 3
 * submits (in the case) and lives; process 0 lives, runs and sees deaths. 1 and
 * 2 are killed at any step.
 */
#define FREE	0
#define FILLING	1
#define READY	2
#define RUNNING	3

byte st = FREE;			/* of the place, one word with */
byte has;			/* ... the ticket + 1, 0 nobody */
bool fbit = true, rbit;		/* may be free, may be ready */
byte data;			/* the payload: 10 * task, and 1 more when whole */
bool member[4];
bool dead[4];
bool kill[4];
bool accepted[4];
byte ran[4];
byte threads = 2;		/* of process 1 */
bool torn[4];			/* a process died with this task in hand */
byte going;			/* mortal processes that have not ended */
byte sending;			/* submitters that live and have not ended */
bool one, two;			/* the deaths of 1 and 2 were seen to */
bool over;

#define DONE(t)		(!accepted[t] || ran[t])

/* ok = the state was (a, x), and is (b, y) now */
inline cas(ok, a, x, b, y)
{
	d_step {
		ok = (st == a && has == x);
		st = (ok -> b : st);
		has = (ok -> y : has)
	}
}

inline clear(ok, map)
{
	d_step { ok = map; map = false }
}

/* The twin clear_late swaps the two steps of it. */
inline claim(ok, me, map, from, to)
{
#ifdef TWIN_clear_late
	cas(ok, from, 0, to, me + 1);
	map = false
#else
	clear(ok, map);
	if
	:: ok -> cas(ok, from, 0, to, me + 1)
	:: else
	fi
#endif
}

inline submit(me)
{
#ifndef TWIN_late_ticket
	member[me] = true;
#endif
	do
	:: ok -> break
	:: !ok -> fbit; claim(ok, me, fbit, FREE, FILLING)
	od;
#ifdef TWIN_late_ticket
	member[me] = true;
#endif
	data = 10 * me;
	data = data + 1;
#ifdef TWIN_bit_first
	rbit = true;
#endif
	d_step {
		ok = (st == FILLING && has == me + 1);
		assert(ok);
		st = READY;
		has = 0;
		accepted[me] = true
	};
#ifndef TWIN_bit_first
	rbit = true;
#endif
	ok = false
}

inline run_one(me)
{
	claim(ok, me, rbit, READY, RUNNING);
	if
	:: ok ->
		d_step { mine = data / 10; assert(data % 10 == 1) };
		/* Again only after a death; who was struck while it lived would do it too. */
		d_step { assert(!ran[mine] || torn[mine]); ran[mine]++ };
		cas(ok, RUNNING, me + 1, FREE, 0);
		assert(ok);
		mine = 0;
		fbit = true;
		ok = false
	:: else
	fi
}

inline bury(seen, whose)
{
	d_step { seen = st; whose = has };
	if
#ifdef TWIN_believe
	:: whose && whose != 1 ->
#else
	:: whose && !member[whose - 1] ->
#endif
		if
		:: seen == RUNNING -> d_step {
				if
				:: st == seen && has == whose ->
					torn[data / 10] = true;
					st = READY;
					has = 0
				:: else
				fi }
		:: else -> cas(ok, seen, whose, FREE, 0)
		fi;
		ok = false
	:: else
	fi;
#ifndef TWIN_no_mend
	d_step { seen = st; whose = has };
	if
	:: seen == FREE -> fbit = true
	:: seen == READY -> rbit = true
	:: else
	fi;
#endif
	d_step { seen = 0; whose = 0 }
}

inline see(t, seen, whose)
{
#ifdef TWIN_no_strike
	bury(seen, whose);
	member[t] = false
#else
	member[t] = false;
	bury(seen, whose)
#endif
}

proctype submitter(byte me)
{
	bool ok;

	{
		submit(me);
		false
	} unless { kill[me] };
	d_step { dead[me] = true; ok = false; going-- }
}

proctype lives_and_submits(byte me)
{
	bool ok;

	submit(me);
	sending--
}

/* Process 1: a worker and a keeper, killed together. */
proctype worker(byte me)
{
	bool ok;
	byte mine;

	{
		do
		:: rbit -> run_one(me)
		od
	} unless { kill[me] };
	d_step { ok = false; mine = 0; going--; threads--; dead[me] = !threads }
}

proctype keeper(byte me)
{
	bool ok;
	byte seen, whose;

	{
		dead[2];
		see(2, seen, whose);
		false
	} unless { kill[me] };
	d_step { ok = false; seen = 0; whose = 0; going--; threads--; dead[me] = !threads }
}

proctype survivor()
{
	byte mine;
	bool ok;

	do
	:: rbit -> run_one(0)
	:: !rbit && !going && !sending && one && two && st == FREE && DONE(2) && DONE(3) -> break
	od;
	over = true
}

proctype witness()
{
	bool ok;
	byte seen, whose;

	do
	:: dead[1] && !one -> see(1, seen, whose); one = true
	:: dead[2] && !two -> see(2, seen, whose); two = true
	:: over && one && two -> break
	od;
	/* Everything is as it was. */
	assert(st == FREE && !has && fbit)
}

proctype killer(byte w)
{
	kill[w] = true
}

init
{
	atomic {
		member[0] = true;
		member[1] = true;
		going = 3;
		run worker(1);
		run keeper(1);
		run killer(1);
		run submitter(2);
		run killer(2);
#if defined(CASE_busy) || defined(TWIN_bit_first) || defined(TWIN_clear_late) || defined(TWIN_believe)
		sending = 1;
		run lives_and_submits(3);
#endif
		run survivor();
		run witness()
	}
}
