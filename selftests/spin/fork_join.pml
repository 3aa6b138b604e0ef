/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A shared job: ulib/pool/fork.c and join.c.
 *
 * shows: each job runs once, before its join returns, and nobody sleeps on
 * case helper: a second worker forks too, and each takes the other's jobs
 * case two_thieves: two thieves and one forker
 * twin take_back_blindly: the forker empties its slot without an exchange
 * twin steal_blindly: so does the thief
 * twin done_first: a thief says done before it runs the job
 * twin wake_first: a thief looks for a sleeper before it says done
 * twin no_recheck: who waits does not look again after it has announced it
 * twin touch_late: a thief reads the job after it said done
 * twin take_it_for_done: a join that finds its slot empty waits for nobody
 *
 * A forker shares JOBS jobs, one after the other in the same place of its stack,
 * and joins each. Thieves look at its slot as often as they like. Parking is
 * that of park_wake.pml, told in two steps: announced, asleep.
 */
#ifdef CASE_helper
#define FORKERS	2
#else
#define FORKERS	1
#endif
#ifdef CASE_two_thieves
#define THIEVES	2
#else
#define THIEVES	1
#endif
#define WORKERS	(FORKERS + THIEVES)
#define JOBS	2

bool slot[FORKERS];		/* not NULL: the forker's job */
bool over[FORKERS];		/* job->state */
bool alive[FORKERS];		/* there is a job in that place of the stack */
byte ran[FORKERS];		/* how often this job was run */
bool parking[FORKERS], asleep[FORKERS];
byte finished;

inline run_job(who)
{
	atomic {
		assert(alive[who]);
		ran[who]++;
		assert(ran[who] == 1)
	}
}

/* backend/park.c: the word moves, the sleeper is woken */
inline wake(who)
{
	atomic {
		if
		:: parking[who] -> parking[who] = false; asleep[who] = false
		:: else
		fi
	}
}

/* pulse__fork_take and pulse__fork_run_taken */
inline steal(who, got)
{
#ifdef TWIN_steal_blindly
	got = slot[who];
	slot[who] = false;
#else
	atomic { got = slot[who]; slot[who] = false }
#endif
	if
	:: got ->
#ifdef TWIN_done_first
		over[who] = true;
		run_job(who);
#else
		run_job(who);
#ifdef TWIN_wake_first
		wake(who);
		over[who] = true;
#else
		over[who] = true;
#ifdef TWIN_touch_late
		assert(alive[who]);
#endif
		wake(who);
#endif
#endif
		got = false
	:: else
	fi
}

proctype forker(byte me)
{
	byte left = JOBS;
	bool mine, got;

	do
	:: left == 0 -> break
	:: left > 0 ->
		atomic { alive[me] = true; ran[me] = 0; over[me] = false };
		slot[me] = true;		/* a beat */
		/* pulse_join_slow */
#ifdef TWIN_take_back_blindly
		mine = slot[me];
		slot[me] = false;
#else
		atomic { mine = slot[me]; slot[me] = false };
#endif
		if
		:: mine -> run_job(me)
		:: else ->
#ifndef TWIN_take_it_for_done
			do
			:: over[me] -> break
#if FORKERS > 1
			:: !over[me] && slot[1 - me] -> steal(1 - me, got)
#endif
			:: !over[me] ->
				parking[me] = true;
#ifndef TWIN_no_recheck
				if
				:: over[me] -> parking[me] = false; break
				:: else
				fi;
#endif
				/* The kernel looks at the word once more. */
				atomic {
					if
					:: parking[me] -> asleep[me] = true
					:: else
					fi
				};
				!asleep[me]
			od
#else
			skip
#endif
		fi;
		atomic { assert(ran[me] == 1); alive[me] = false; mine = false };
		left--
	od;
	finished++
}

proctype thief()
{
	bool got;

end:	do
	:: slot[0] -> steal(0, got)
#if FORKERS > 1
	:: slot[1] -> steal(1, got)
#endif
	od
}

init
{
	atomic {
		run forker(0);
#if FORKERS > 1
		run forker(1);
#endif
		run thief();
#if THIEVES > 1
		run thief();
#endif
	}
	timeout;
	assert(finished == FORKERS)
}
