/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A graph of steps is run: ulib/pool/graph_run.c.
 *
 * shows: each step runs once a round and after those it waits for; the run ends
 *	once, after the last of them, and nobody touches the graph after that
 * case crowd: three workers, a queue without room to speak of
 * twin no_count: a step that is submitted has no count of its own
 * twin count_late: it gets its count after others can take it
 * twin drop_first: a worker looks at the backlog after it has dropped its count
 * twin no_reset: what a step waits for is not set anew for the next round
 * twin read_left: who takes a count off reads it in a second step
 *
 * Step 0 leads to 1 and 2, both to 3, which leads back to 0 once: two rounds. A
 * worker goes on with the first step that it made ready, and submits the other;
 * what finds no room in the queue goes to the backlog.
 */
#ifdef CASE_crowd
#define WORKERS	3
#else
#define WORKERS	2
#endif
#define NONE	4
#define ROUNDS	2

chan queue = [1] of { byte };
byte left[4] = { 0, 1, 1, 2 };
byte ran[4];
byte waiting[4];			/* in the backlog, under its lock */
byte flying = 1;
bool over;

#define NEEDS(s)	((s) == 0 -> 0 : ((s) == 3 -> 2 : 1))
#define BEFORE(s, n)	\
	((s) == 0 -> ran[3] == (n) : \
	 ((s) == 3 -> ran[1] == (n) + 1 && ran[2] == (n) + 1 : ran[0] == (n) + 1))

inline touch()	{ assert(!over) }

inline submit(s)
{
#if !defined(TWIN_no_count) && !defined(TWIN_count_late)
	atomic { touch(); flying++ }
#endif
	atomic {
		touch();
		if
		:: nfull(queue) -> queue!s
		:: full(queue) -> waiting[s]++
		fi
	}
#ifdef TWIN_count_late
	atomic { touch(); flying++ }
#endif
}

/* One that @me waited for is done. */
inline behind(to)
{
#ifdef TWIN_read_left
	atomic { touch(); left[to] = left[to] - 1 }
	last = left[to] == 0;
#else
	atomic { touch(); last = left[to] == 1; left[to] = left[to] - 1 }
#endif
	if
	:: last && next == NONE -> next = to
	:: last && next != NONE -> submit(to)
	:: else
	fi
}

active [WORKERS] proctype worker()
{
	byte s, next;
	bool last, mine;

	if
	:: _pid == 0 -> s = 0; goto go
	:: else
	fi;
idle:
	if
	:: queue?s
	:: timeout -> goto out
	fi;
go:
	touch();
#ifndef TWIN_no_reset
	left[s] = NEEDS(s);
#endif
	atomic { assert(BEFORE(s, ran[s])); ran[s]++ };
	next = NONE;
	if
	:: s == 0 -> behind(1); behind(2)
	:: s == 1 || s == 2 -> behind(3)
	:: s == 3 && ran[3] < ROUNDS -> next = 0
	:: else
	fi;
	if
	:: next != NONE -> s = next; goto go
	:: else
	fi;
#ifdef TWIN_drop_first
	atomic { mine = flying == 1; flying-- };
#endif
	atomic {
		touch();
		if
		:: waiting[0] -> waiting[0]--; next = 0
		:: waiting[1] -> waiting[1]--; next = 1
		:: waiting[2] -> waiting[2]--; next = 2
		:: waiting[3] -> waiting[3]--; next = 3
		:: else
		fi
	};
#ifndef TWIN_drop_first
	atomic { mine = flying == 1; flying-- };
#endif
	if
	:: mine -> atomic { assert(!over); over = true }
	:: else
	fi;
	if
	:: next != NONE -> s = next; goto go
	:: else -> goto idle
	fi;
out:
	assert(over && ran[0] == ROUNDS && ran[1] == ROUNDS &&
	       ran[2] == ROUNDS && ran[3] == ROUNDS)
}
