/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A worker dies, its slot is reaped and given to a stranger, while a waker still
 * means the dead one: kmod/worker.c, kmod/state.c, kmod/park.c:pulse_give.
 *
 * shows: no stranger loses a wake-up to a late one, nothing is used after it was freed
 * case bits_reset_late: WORKER_ADD clears the bits after the slot is live, as nothing orders the two
 * twin no_rcu: the waker holds nothing between its load of sleeper and the wake-up
 * twin sleeper_stays: PARK returns and leaves sleeper behind
 * twin no_irq_sync: the reaper frees the slot under the interrupt that queued it
 * twin sweep_after_release: the reaper pays what the dead one owed after it let the context go
 *
 * One slot. Thread 1 has it, parks once, and dies at any point in user mode or
 * out of PARK. Thread 2 registers when the slot is free, and parks for ever.
 * LATE is a waker that looked at the word while thread 1 had it; FOR_2 wakes
 * thread 2 after it published for it. What LATE may do is one spurious return.
 */
#define RUNNING		0
#define PARKING		1
#define NOTIFIED	2
#define WORD(e, s)	((e) * 4 + (s))
#define STATE(word)	((word) & 3)

mtype = { FREE, RESERVED, LIVE, DYING };

mtype slot = LIVE;
byte park, inbox;			/* inbox: of thread 2 */
bool permit;
byte sleeper;				/* the thread in PARK, or 0 */
bool parked[3];
bool task_freed[3];
bool knows_2;				/* thread 2 has told its index */
byte readers;				/* in rcu_read_lock() */
bool irq_queued, irq_done, listed, ctx_freed;
bool open = true;			/* the descriptor */
byte files = 2;				/* references: the descriptor, slots, calls */

#define FGET	d_step { got = open; files = (open -> files + 1 : files) }
#define FPUT	d_step { files--; ctx_freed = (files == 0) }

inline pulse_give(s, had)
{
	d_step { had = permit; permit = true };	/* (D) */
	if
	:: !had ->
#ifndef TWIN_no_rcu
		readers++;
#endif
		s = sleeper;
		if
		:: s > 0 ->
			assert(!task_freed[s]);
			parked[s] = false
		:: else
		fi;
#ifndef TWIN_no_rcu
		readers--;
#endif
		s = 0
	:: else
	fi
}

/* PARK, from (C) on; "die": a fatal signal also ends the sleep. */
inline pulse_park(me, word, mortal)
{
	sleeper = me;
	do
	:: parked[me] = true;		/* (C) */
		if
		:: permit -> permit = false; break
		:: else
		fi;
		if
		:: park != word -> break	/* EAGAIN; asked each round here: harmless */
		:: else
		fi;
		if
		:: !parked[me]
		:: mortal -> break
		fi
	od;
	parked[me] = false;
#ifdef TWIN_sleeper_stays
	sleeper = (mortal -> sleeper : 0)
#else
	sleeper = 0
#endif
}

proctype thread1()
{
	park = WORD(0, PARKING);
	if
	:: pulse_park(1, WORD(0, PARKING), true)
	:: true				/* a signal's handler ends it first */
	fi;
	if
	:: park = WORD(0, RUNNING)
	:: true
	fi;
	/* the last switch: state.c:pulse_sched_out; then the interrupt */
	slot = DYING;
	irq_queued = true;
	/* release_task: the task is freed a grace period later */
	readers == 0;
	task_freed[1] = true
}

/* worker.c:pulse_dead_irq */
proctype interrupt()
{
end:	irq_queued;
	listed = true;
	assert(!ctx_freed);		/* it still clears its busy flag */
	irq_done = true
}

/* worker.c:pulse_reap */
proctype reaper()
{
	byte s;
	bool had;

end:	listed;
#ifndef TWIN_sweep_after_release
	if
	:: slot == LIVE && STATE(park) == NOTIFIED -> pulse_give(s, had)
	:: else
	fi;
#endif
#ifndef TWIN_no_irq_sync
	irq_done;			/* irq_work_sync */
#endif
	slot = FREE;			/* pulse_worker_release */
	FPUT;
#ifdef TWIN_sweep_after_release
	assert(!ctx_freed);
	if
	:: slot == LIVE && STATE(park) == NOTIFIED -> pulse_give(s, had)
	:: else
	fi
#endif
}

/* worker.c:pulse_worker_commit, ulib worker.c:pulse_worker_register */
proctype thread2()
{
	byte word;
	bool got;

end0:	slot == FREE;
	FGET;
	if
	:: got
	:: !got -> goto none
	fi;
	slot = RESERVED;
#ifdef CASE_bits_reset_late
	slot = LIVE;
	park = WORD(1, RUNNING);
	knows_2 = true;
	permit = false;
#else
	permit = false;
	slot = LIVE;
	park = WORD(1, RUNNING);	/* a new epoch */
	knows_2 = true;
#endif
	do
	:: inbox > 0 -> inbox--
	:: else ->
		word = WORD(1, PARKING);
		park = word;		/* (B) */
		if
		:: inbox > 0 && park == word -> park = WORD(1, RUNNING)
		:: else ->
			/* kmod/park.c:pulse_park, no deadline, no signal */
			sleeper = 2;
again:			parked[2] = true;
			if
			:: permit -> permit = false; goto out
			:: else
			fi;
			if
			:: park != word -> goto out
			:: else
			fi;
end1:			!parked[2];
			goto again;
out:			parked[2] = false;
			sleeper = 0;
			park = WORD(1, RUNNING)
		fi
	od;
none:	skip
}

proctype waker(bool late)
{
	byte word, s;
	bool won, had, got;

	if
	:: late
	:: !late -> end: knows_2; inbox++
	fi;
	word = park;
	if
	:: STATE(word) == PARKING ->
		d_step {
			won = (park == word);
			park = (won -> word - PARKING + NOTIFIED : park);
			word = 0
		};
		if
		:: won ->
			FGET;		/* a call holds the file */
			if
			:: got && slot == LIVE -> pulse_give(s, had); FPUT
			:: got && slot != LIVE -> FPUT	/* ESRCH */
			:: else		/* EBADF */
			fi
		:: else
		fi
	:: else
	fi
}

/* close(); that it also ends each PARK (CANCEL) is left out. */
proctype closer()
{
	open = false;
	FPUT
}

init
{
	atomic {
		run thread1();
		run thread2();
		run interrupt();
		run reaper();
		run waker(true);
		run waker(false);
		if
		:: run closer()
		:: true
		fi
	}
	timeout;
	assert(!open || inbox == 0)
}
