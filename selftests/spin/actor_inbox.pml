/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mailbox of an actor, who may run it and how it is stopped:
 * ulib/actor/send.c, run.c, spawn.c; their words stand at the head of actor.h.
 *
 * shows: no message and no stop is forgotten, and one thread at a time is inside
 * case stopped: one that stops it
 * case two_stops: two that stop it, one sender
 * twin rest_late: the runner says that it rests after it has let the mailbox go
 * twin no_second_look: ... and does not look at stop again
 * twin no_claim: who finds it in a queue runs it, whatever its run says
 * twin no_nudge: who stops it does not look at the mailbox
 *
 * Workers take from a queue in which an actor may stand although somebody else
 * ran it meanwhile: a caller that waits for it (run_here). When nothing can move
 * any more all messages are handled, or it was stopped and is dead.
 */
#if defined(CASE_two_stops)
#define SENDERS		1
#define STOPS		2
#elif defined(CASE_stopped) || defined(TWIN_no_second_look) || defined(TWIN_no_nudge)
#define SENDERS		2
#define STOPS		1
#else
#define SENDERS		3
#define STOPS		0
#endif
#define WORKERS		2

/* inbox */
#define NONE	0
#define RESTS	1
#define CLOSED	2
#define MSGS	3

/* runs: the word run, which is a keyword here */
#define REST	0
#define QUEUED	1
#define RUNNING	2

byte inbox = RESTS, msgs;	/* msgs: behind inbox where it is MSGS */
byte runs = REST;
byte fetched;			/* fetched, not handled */
byte queue;			/* times that the actor stands in the pool */
bool stop, dead;
byte inside;

inline activate()
{
	runs = QUEUED;
	queue++
}

/* run.c:pulse__actor_claim */
inline claim(ok)
{
#ifdef TWIN_no_claim
	ok = true;
	runs = RUNNING
#else
	d_step { ok = (runs == QUEUED); runs = (ok -> RUNNING : runs) }
#endif
}

/* run.c:pulse__actor_run; the caller has claimed it */
inline actor_run(ok, did)
{
	did = 0;
	inside++;
	do
	:: stop ->			/* spawn.c:pulse__actor_close */
		assert(inside == 1 && !dead);
		dead = true;
		runs = REST;
		d_step { inbox = CLOSED; msgs = 0; fetched = 0 }
		inside--;
		break
	:: else ->
		assert(inside == 1 && !dead);
		if
		:: fetched > 0 && did < 2 ->
			fetched--;
			did++
		:: fetched > 0 && did > 0 ->	/* the budget is spent */
			inside--;
			activate();
			break
		:: fetched == 0 && inbox == MSGS ->
			d_step { fetched = msgs; msgs = 0; inbox = NONE }
		:: fetched == 0 && inbox == NONE ->	/* pulse__actor_rest */
			inside--;
#ifndef TWIN_rest_late
			runs = REST;
#endif
			d_step { ok = (inbox == NONE); inbox = (ok -> RESTS : inbox) }
#ifdef TWIN_rest_late
			runs = (ok -> REST : runs);
#endif
			if
			:: !ok ->
				runs = RUNNING;
				inside++
			:: else ->			/* B */
#ifdef TWIN_no_second_look
				break
#else
				if
				:: stop ->
					d_step { ok = (inbox == RESTS); inbox = (ok -> NONE : inbox) }
					if
					:: ok ->
						runs = RUNNING;
						inside++
					:: else -> break
					fi
				:: else -> break
				fi
#endif
			fi
		fi
	od
}

proctype worker()
{
	bool ok;
	byte did;

end:	do
	:: d_step { queue > 0 -> queue-- };
		claim(ok);
		if
		:: ok -> actor_run(ok, did)
		:: else
		fi
	od
}

/* run.c:pulse__actor_run_here, once */
proctype caller()
{
	bool ok;
	byte did;

	claim(ok);
	if
	:: ok -> actor_run(ok, did)
	:: else
	fi
}

/* send.c:pulse__amsg_push */
proctype sender()
{
	byte old;

	d_step {
		old = inbox;
		if
		:: old != CLOSED -> inbox = MSGS; msgs++
		:: else
		fi
	}
	if
	:: old == RESTS -> activate()
	:: else
	fi
}

/* spawn.c:pulse_actor_stop, run.c:pulse__actor_nudge */
proctype stopper()
{
	bool ok;

	stop = true;
#ifndef TWIN_no_nudge
	d_step { ok = (inbox == RESTS); inbox = (ok -> NONE : inbox) }	/* A */
	if
	:: ok -> activate()
	:: else
	fi
#endif
}

init
{
	byte i;

	atomic {
		for (i : 1 .. WORKERS) { run worker() }
		for (i : 1 .. SENDERS) { run sender() }
#if STOPS
		for (i : 1 .. STOPS) { run stopper() }
#endif
		run caller()
	}
	timeout;
	assert(!inside && dead == (STOPS > 0));
	assert(dead || (inbox == RESTS && !msgs && !fetched))
}
