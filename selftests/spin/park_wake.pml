/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Park and wake: ulib/backend/park.c above the system call, kmod/park.c and
 * kmod/node.c below it.
 *
 * shows: WAKE, WAKE_NODE and a waker's death lose no wake-up (one worker)
 * case two: two workers, one woken by its index and any one by its node
 * case nodes: two workers, two that publish for all and wake one each
 * case long: as nodes, and no job ever ends, so each needs a worker of its own; who takes work and sees more wakes one more
 * twin keep_the_rest: as long, but who takes work does not care for the rest
 * twin no_recheck: the parker does not look again after it said PARKING
 * twin permit_before_state: PARK looks at the permit, then makes itself a sleeper
 * twin wake_before_permit: WAKE wakes the sleeper, then gives the permit
 * twin publish_late: the waker's load of the park word overtakes its publishing
 * twin no_sweep: nobody pays what a dead waker owed
 * twin sweep_sleepers_only: the sweep passes by who does not sleep yet, and PARK does not read the word
 * twin idle_bit_late: the library's idle bit is set after the second look
 * twin node_looks_at_idle: WAKE_NODE passes by who is on the way, its word PARKING
 *
 * A worker takes what it finds, then parks, for ever. When nothing can move any
 * more ("timeout"), no work may be left: that would be a sleeper whom somebody
 * forgot. Spurious returns (deadline, signal, stray wake-up) may come wherever
 * the code allows them, SPURIOUS times in all, so that there are runs in which
 * nothing else helps.
 *
 * What stands between semicolons is one step. Which orderings make a machine
 * keep to these steps: selftests/litmus/park_*.litmus, wake_node*.litmus.
 */
#if defined(CASE_long) || defined(TWIN_keep_the_rest)
#define LONG_JOBS
#define CASE_nodes
#endif
#if defined(CASE_two) || defined(CASE_nodes)
#define N		2
#define SPURIOUS	0
#else
#define N		1
#define SPURIOUS	1
#endif

/*
 * The park word: epoch above, state in the low two bits. An epoch of one bit is
 * harsher than one of 24: it comes round while a waker still holds an old word.
 */
#define RUNNING		0
#define PARKING		1
#define NOTIFIED	2
#define WORD(e, s)	((e) * 4 + (s))
#define STATE(word)	((word) & 3)

byte inbox[N];				/* work for one worker */
byte ring;				/* work for any worker */
byte park[N];				/* u->park */
bool permit[N];				/* w->wake_bits & PULSE_PERMIT */
bool sleeper[N];			/* w->sleeper != NULL */
bool parked[N];				/* its task state: not TASK_RUNNING */
bool idle[N];				/* its bit in HDR, the kernel's */
bool comes[N];				/* its bit in the library's ctx->idle */
bool died;				/* a waker, for the last time off its CPU */
byte spurious = SPURIOUS;

/* ---- kernel ---- */

/* park.c:pulse_give */
inline pulse_give(w, had)
{
#ifdef TWIN_wake_before_permit
	parked[w] = (sleeper[w] -> false : parked[w]);
	d_step { had = permit[w]; permit[w] = true }
#else
	d_step { had = permit[w]; permit[w] = true };	/* (D) atomic_fetch_or */
	if
	:: !had ->			/* wake_up_process(sleeper) */
		parked[w] = (sleeper[w] -> false : parked[w])
	:: else				/* whoever gave it wakes */
	fi
#endif
}

/* worker.c:pulse_reap, park.c:pulse_sweep */
proctype reaper()
{
	byte i;
	bool had;

end:	died;
	do
	:: i < N ->
#ifdef TWIN_sweep_sleepers_only
		if
		:: idle[i] && STATE(park[i]) == NOTIFIED -> pulse_give(i, had)
		:: else
		fi;
#elif !defined(TWIN_no_sweep)
		if
		:: STATE(park[i]) == NOTIFIED -> pulse_give(i, had)
		:: else
		fi;
#endif
		i++
	:: else -> break
	od
}

/* ulib park.c:pulse_worker_wake_node, then node.c:pulse_wake_members, nr = 1 */
inline pulse_worker_wake_node(i, may, had)
{
	i = (comes[0] || comes[N - 1] -> 0 : N);	/* pulse__any_idle */
					/* (E) full barrier, in the kernel */
	do
	:: i < N ->
		had = true;
		if
		:: permit[i]		/* as good as awake */
		:: else ->
			may = idle[i];	/* pulse_may_sleep */
#ifndef TWIN_node_looks_at_idle
			may = (may || STATE(park[i]) == PARKING);
#endif
			if
			:: may -> may = false; pulse_give(i, had)
			:: else
			fi
		fi;
		if
		:: had -> had = false
		:: else -> break
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

/* ---- user ---- */

proctype worker(byte me)
{
	byte word;			/* its epoch is slot->epoch */
	bool slept, found;
#ifdef LONG_JOBS
	byte i;
	bool may, had;
#endif

look:	if
	:: atomic { inbox[me] > 0 -> inbox[me]-- }; goto look
	:: atomic { ring > 0 -> ring-- };
#ifdef LONG_JOBS
		goto busy
#else
		goto look
#endif
	:: inbox[me] == 0 && ring == 0
	fi;

#ifndef TWIN_idle_bit_late
	comes[me] = true;
#endif
	d_step {			/* (B) exchange and full barrier */
		word = WORD(1 - word / 4, PARKING);
		park[me] = word
	};

#ifndef TWIN_no_recheck
	found = (inbox[me] > 0);
	found = (found || ring > 0);
	if
	:: found ->
		found = false;
		if
		:: atomic { park[me] == word -> park[me] = word - PARKING + RUNNING };
			comes[me] = false;
			goto look
		:: park[me] != word	/* a waker owes a permit: take it */
		fi
	:: else
	fi;
#endif

#ifdef TWIN_idle_bit_late
	comes[me] = true;
#endif
	/* kmod/park.c:pulse_park */
#ifdef TWIN_permit_before_state
	if
	:: permit[me] -> permit[me] = false; goto leave
	:: else
	fi;
#endif
	sleeper[me] = true;
again:	parked[me] = true;		/* (C) set_current_state */
#ifndef TWIN_permit_before_state
	if
	:: permit[me] -> permit[me] = false; goto leave
	:: else
	fi;
#endif
#ifndef TWIN_sweep_sleepers_only
	if
	:: !slept && park[me] != word -> goto leave	/* EAGAIN */
	:: else
	fi;
#endif
	d_step { slept = true; idle[me] = true };

end:	if				/* schedule() */
	:: !parked[me] -> goto again
	:: spurious > 0 -> spurious--; goto again	/* a stray wake-up */
	:: spurious > 0 -> spurious--	/* deadline or signal */
	fi;

leave:	skip;
	d_step { parked[me] = false; sleeper[me] = false };
	d_step { idle[me] = false; slept = false };
	park[me] = word - PARKING + RUNNING;
	comes[me] = false;
	goto look;

#ifdef LONG_JOBS
busy:	skip;
#ifndef TWIN_keep_the_rest
	if				/* full barrier before */
	:: ring > 0 -> pulse_worker_wake_node(i, may, had)
	:: else
	fi;
#endif
endb:	false
#endif
}

/* Publishes for one worker and wakes it, or dies on the way. */
proctype waker(byte to; bool dies)
{
	byte word;
	bool won, had;

#ifdef TWIN_publish_late
	word = park[to];
	inbox[to]++;
#else
	inbox[to]++;
	word = park[to];		/* (A) full barrier before */
#endif
	if
	:: STATE(word) == PARKING ->
		d_step {		/* ulib park.c:pulse__notify */
			won = (park[to] == word);
			park[to] = (won -> word - PARKING + NOTIFIED : park[to]);
			word = 0
		};
		if
		:: won && dies -> died = true
		:: won && !dies -> pulse_give(to, had)
		:: else
		fi
	:: else
	fi
}

/* Publishes for all and wakes one. */
proctype node_waker()
{
	byte i;
	bool may, had;

	ring++;				/* (A) full barrier after */
	pulse_worker_wake_node(i, may, had)
}

init
{
	atomic {
		run worker(0);
#if defined(CASE_two)
		run worker(1);
		run waker(0, false);
		run node_waker();
#elif defined(CASE_nodes)
		run worker(1);
		run node_waker();
		run node_waker();
#elif defined(TWIN_idle_bit_late) || defined(TWIN_node_looks_at_idle)
		run node_waker();
#else
		run waker(0, true);
		run waker(0, false);
		run node_waker();
		run reaper();
#endif
	}
	timeout;
	assert(inbox[0] == 0 && inbox[N - 1] == 0 && ring == 0)
}
