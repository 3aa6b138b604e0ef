/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mailbox of an actor, who may run it and how it is stopped:
 * ulib/actor/send.c, run.c, spawn.c; their words stand at the head of actor.h.
 *
 * shows: no message and no stop is forgotten, and one thread at a time is inside
 * case stopped: one that stops it
 * case two_stops: two that stop it, one sender
 * case urgent: two that have something urgent, one sender
 * case urgent_stopped: one that has something urgent, one sender, one that stops it
 * twin no_kept: what is queued again does not say that it has messages left
 * twin no_second_look: who says that it rests does not look at stop again
 * twin no_claim: who finds it in a queue runs it, whatever its mailbox says
 * twin no_nudge: who stops it does not look at the mailbox
 * twin no_urgent_look: who says that it rests does not look for urgent ones again
 * twin no_urgent_nudge: who has something urgent does not look at the mailbox
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
#elif defined(CASE_urgent) || defined(TWIN_no_urgent_look) || defined(TWIN_no_urgent_nudge)
#define SENDERS		1
#define STOPS		0
#define URGENTS		2
#elif defined(CASE_urgent_stopped)
#define SENDERS		1
#define STOPS		1
#define URGENTS		1
#else
#define SENDERS		3
#define STOPS		0
#endif
#ifndef URGENTS
#define URGENTS		0
#endif
#define WORKERS		2

/* inbox: a list with its two bits, or one of the others */
#define LIST	0
#define RESTS	1
#define CLOSED	2

byte inbox = RESTS, msgs;
bool queued, kept;
byte fetched;			/* fetched, not handled */
byte queue;			/* times that the actor stands in the pool */
byte urgent;			/* in the list beside it */
bool shut;			/* ... which takes no more */
bool stop, dead;
byte inside, handled;

/* run.c:pulse__actor_requeue */
inline requeue()
{
	d_step {
		queued = true;
#ifndef TWIN_no_kept
		kept = fetched > 0
#endif
	}
	queue++
}

/* run.c:pulse__actor_claim */
inline claim(ok)
{
	d_step {
#ifdef TWIN_no_claim
		ok = (inbox == LIST);
#else
		ok = queued;
#endif
		if
		:: ok && !kept ->
			fetched = msgs;		/* over what was there */
			msgs = 0
		:: else
		fi
		queued = (ok -> false : queued);
		kept = (ok -> false : kept)
	}
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
		d_step { inbox = CLOSED; msgs = 0; fetched = 0 }
		d_step { shut = true; urgent = 0 }
		inside--;
		break
	:: else ->
		assert(inside == 1 && !dead);
		if
#if URGENTS
		:: urgent > 0 ->		/* pulse__actor_ahead */
			d_step { fetched = fetched + urgent; urgent = 0 }
#endif
		:: fetched > 0 && did < 2 ->
			fetched--;
			handled++;
			did++
		:: fetched > 0 && did > 0 ->	/* the budget is spent */
			inside--;
			requeue();
			break
		:: fetched == 0 && msgs > 0 ->
			d_step { fetched = msgs; msgs = 0 }
		:: fetched == 0 && msgs == 0 ->		/* pulse__actor_rest */
			inside--;
			d_step {
				ok = (inbox == LIST && msgs == 0);
				inbox = (ok -> RESTS : inbox)
			}
			if
			:: !ok -> inside++
			:: else ->			/* B */
#ifdef TWIN_no_second_look
				break
#else
				if
#ifdef TWIN_no_urgent_look
				:: stop ->
#else
				:: stop || urgent > 0 ->
#endif
					d_step { ok = (inbox == RESTS); inbox = (ok -> LIST : inbox) }
					if
					:: ok -> inside++
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
		:: old != CLOSED ->
			inbox = LIST;
			msgs++;
			queued = (old == RESTS -> true : queued)
		:: else
		fi
	}
	if
	:: old == RESTS -> queue++
	:: else
	fi
}

/* spawn.c:pulse_actor_stop, run.c:pulse__actor_nudge */
proctype stopper()
{
	bool ok;

	stop = true;
#ifndef TWIN_no_nudge
	d_step {				/* A */
		ok = (inbox == RESTS);
		inbox = (ok -> LIST : inbox);
		queued = (ok -> true : queued)
	}
	if
	:: ok -> queue++
	:: else
	fi
#endif
}

/* send.c:pulse__amsg_put_urgent */
proctype urges()
{
	bool ok;

	d_step {
		urgent = (shut -> urgent : urgent + 1);
		ok = false
	}
#ifndef TWIN_no_urgent_nudge
	d_step {				/* A */
		ok = (inbox == RESTS);
		inbox = (ok -> LIST : inbox);
		queued = (ok -> true : queued)
	}
	if
	:: ok -> queue++
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
#if URGENTS
		for (i : 1 .. URGENTS) { run urges() }
#endif
		run caller()
	}
	timeout;
	assert(!inside && dead == (STOPS > 0));
	assert(!dead || !urgent);
	assert(dead || (inbox == RESTS && !msgs && !fetched && !urgent &&
			handled == SENDERS + URGENTS))
}
