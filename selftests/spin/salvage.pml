/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The job of a dead worker: ulib/backend/salvage.c.
 *
 * shows: with every holder dying anywhere, each job gets done, and twice only where its worker died before it said so, and is in one living worker's hands at most
 * case reborn: the slots of the dead are given out again, to workers that may die too
 * twin job_first: a job leaves the dead worker's slot before it is in the other's
 * twin no_mend: who takes the lock from a dead holder does not look where it stopped
 * twin no_from: nobody writes down that a job is being moved
 * twin no_lock: a new owner of a slot does not take the lock before it looks
 * twin believe: a lock is taken from a holder that lives
 *
 * A worker may die at each step until the last one begins; that one lives, and
 * salvages until there is nothing left.
 */
#define N	3
#define NONE	255

byte job[N];				/* UWORK.job */
byte from[N];				/* UWORK.from */
byte lock;				/* UWORK[0].salvor: incarnation * 4 + index + 1 */
bool live[N];				/* KSTATE.state */
byte inc[N];				/* KSTATE.incarnation */
byte held[3];				/* living workers that have job 1, 2 in hand */
bool begun[3];				/* somebody had it in his slot */
byte ran[3];				/* times that it was done */
bool again[3];				/* done, and its worker died before it said so */
byte going;				/* workers that have not ended */
bool kill[3];

#define ID(i)		(inc[i] * 4 + i + 1)
#define LIVES(id)	(live[((id) - 1) % 4] && inc[((id) - 1) % 4] == ((id) - 1) / 4)

inline mend(i)
{
#ifndef TWIN_no_mend
	i = 0;
	do
	:: i < N ->
		if
		:: from[i] ->
			if
			:: job[from[i] - 1] -> job[i] = 0
			:: else
			fi;
			from[i] = 0
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
#else
	skip
#endif
}

inline take_lock(me, seen, i)
{
	do
	:: true ->
		seen = lock;
		if
#ifdef TWIN_believe
		:: seen != ID(me) ->
#else
		:: seen == 0 || !LIVES(seen) ->
#endif
			if
			:: atomic { lock == seen -> lock = ID(me) }; seen = 0; break
			:: lock != seen
			fi
		:: else -> (lock != seen || !LIVES(seen))
		fi
	od;
	mend(i)
}

inline has(me, j)
{
	d_step { mine = j; held[j]++; assert(held[j] == 1) }
}

inline finish(me)
{
	d_step { assert(!ran[mine] || again[mine]); ran[mine]++; held[mine]--; mine = 0; };
	job[me] = 0
}

inline salvage(me, seen, i, d)
{
	take_lock(me, seen, i);
	d = 0;
	do
	:: d < N && d != me && job[d] && !live[d] ->
#ifdef TWIN_job_first
		seen = job[d];
		from[me] = d + 1;
		job[d] = 0;
		job[me] = seen;
#else
#ifndef TWIN_no_from
		from[me] = d + 1;
#endif
		job[me] = job[d];
		job[d] = 0;
#endif
		from[me] = 0;
		seen = 0;
		break
	:: d < N && !(d != me && job[d] && !live[d]) -> d++
	:: d == N -> break
	od;
	d = 0;
	if
	:: job[me] -> has(me, job[me])
	:: else
	fi;
	lock = 0
}

/* The kernel has given out slot me, which was free. */
inline enter(me, seen, i)
{
#ifndef TWIN_no_lock
	take_lock(me, seen, i);
#endif
	if
	:: job[me] -> has(me, job[me])
	:: else
	fi;
#ifndef TWIN_no_lock
	lock = 0
#endif
}

/* first: the job that it begins by itself; slot me was never used. */
proctype worker(byte w; byte me; byte first)
{
	byte mine, seen, i, d;
	bool in;

	{
		if
		:: first -> d_step { inc[me]++; live[me] = true; in = true }; d_step { job[me] = first; begun[first] = true }; has(me, first)
		:: else -> atomic { !live[me] && inc[me] -> inc[me]++; live[me] = true; in = true }; enter(me, seen, i)
		fi;
		if
		:: mine -> finish(me)
		:: else
		fi;
		salvage(me, seen, i, d);
		if
		:: mine -> finish(me)
		:: else
		fi;
		/* It is there for good, and idle. */
		false
	} unless { kill[w] };
	/* Death, at whichever step. What it held, nobody living holds now. */
	d_step {
		if
		:: mine -> held[mine]--
		:: else -> again[job[me]] = (in && job[me] && ran[job[me]] -> true : again[job[me]])
		fi;
		live[me] = (in -> false : live[me]);
		mine = 0; seen = 0; i = 0; d = 0;
		going--
	}
}

/* Lives, in the last slot. */
proctype survivor(byte me)
{
	byte mine, seen, i, d;
	byte n;

	d_step { inc[me]++; live[me] = true };
	enter(me, seen, i);
	do
	:: n < 4 ->
		if
		:: mine -> finish(me)
		:: else
		fi;
		/* At first beside the others, in the end after their death. */
		if
		:: n > 0 -> going == 0
		:: else
		fi;
		salvage(me, seen, i, d);
		n++
	:: else -> break
	od;
	if
	:: mine -> finish(me)
	:: else
	fi;
	assert(ran[1] >= begun[1] && ran[2] >= begun[2]);
	assert(!job[0] && !job[1] && !job[2] && !lock)
}

proctype killer(byte w)
{
	kill[w] = true
}

init
{
	atomic {
		going = 2;
		run worker(0, 0, 1);
		run killer(0);
		run worker(1, 1, 2);
		run killer(1);
#if defined(CASE_reborn) || defined(TWIN_no_lock)
		going = 3;
		run worker(2, 0, 0);
		run killer(2);
#endif
		run survivor(2)
	}
}
