/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The end of a system of actors, beside some that begin and end:
 * ulib/actor/table.c, at whose head the protocol stands, and spawn.c.
 *
 * shows: each actor is stopped and counted out, and who ends the system goes on after the last
 * twin sum_first: what is alive is added up before stopping is set
 * twin no_look: who begins does not look at stopping after its reference is there
 * twin unlocked: who ends looks at stopping outside the lock of its bin
 *
 * Who begins an actor has one bin, the worker that ends it the other.
 */
#define ACTORS	2

bool stopping, lock[2];
short alive[2];
short nr;			/* under the system's lock; wakes at 0 */
bool ref[ACTORS], stop[ACTORS];
byte born, gone;		/* ghosts */
bool over;

inline acquire(b)	{ atomic { !lock[b] -> lock[b] = true } }

proctype spawner()
{
	byte i;
	bool took;

	for (i : 0 .. ACTORS - 1) {
		/* table.c:pulse__table_take */
		acquire(0);
		took = !stopping;
		if
		:: took -> alive[0]++; born++
		:: else
		fi;
		lock[0] = false;
		if
		:: took ->
			ref[i] = true;
#ifndef TWIN_no_look
			if
			:: stopping -> stop[i] = true
			:: else
			fi
#endif
		:: else
		fi
	}
}

/* It ends when it is stopped, or by itself. */
proctype worker(byte i)
{
	bool late, patient;

end:	ref[i];
	if
	:: patient = true
	:: patient = false
	fi;
	if
	:: patient -> stop[i]
	:: else
	fi;
	ref[i] = false;
	/* pulse__table_give */
#ifdef TWIN_unlocked
	late = stopping;
#endif
	acquire(1);
#ifndef TWIN_unlocked
	late = stopping;
#endif
	if
	:: late -> lock[1] = false; atomic { nr--; gone++ }
	:: else -> atomic { alive[1]--; gone++ }; lock[1] = false
	fi
}

/* system.c:pulse__actors_end */
proctype ender()
{
	short sum;
	byte i;

#ifndef TWIN_sum_first
	stopping = true;
#endif
	for (i : 0 .. 1) {
		acquire(i);
		sum = sum + alive[i];
		lock[i] = false
	}
#ifdef TWIN_sum_first
	stopping = true;
#endif
	nr = nr + sum;
	for (i : 0 .. ACTORS - 1) {
		if
		:: ref[i] -> stop[i] = true
		:: else
		fi
	}
	nr == 0;
	over = true;
	assert(born == gone)
}

init
{
	byte i;

	atomic {
		run spawner();
		for (i : 0 .. ACTORS - 1) { run worker(i) }
		run ender()
	}
	timeout;
	assert(over && born == gone)
}
