/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The word of a mailbox (ulib/mailbox/box_inline.h), and who sleeps on it
 * (ulib/mailbox/receive.c, wake.c).
 *
 * shows: each message that went in is taken, and after a close no receiver sleeps, whoever does what in between
 * case open: nobody closes it
 * case one: one receiver, without the lock
 * case parked: the receiver is a worker, and parks
 * case armed: the receiver goes, and is called by notify
 * twin late_seq: the receiver notes seq after it has announced itself
 * twin quiet_seq: who wakes does not raise seq
 * twin quiet_close: close wakes nobody
 * twin blind: the receiver announces itself without a look at the box
 * twin late_push: a sender takes the tag away before its node is there
 * twin selfish: a receiver that took one does not think of those that sleep
 *
 * The word changes by compare-exchange, so a load and its exchange that succeeded
 * are one step; each of them is acquire and release, or more.
 */
#if defined(CASE_one) || defined(CASE_parked) || defined(CASE_armed)
#define RECEIVERS	1
#define MESSAGES	2
#else
#define RECEIVERS	2
#define MESSAGES	1
#endif
#define SENDERS		2

/* A close would wake whom they forget. */
#if defined(CASE_open) || defined(TWIN_blind) || defined(TWIN_selfish)
#define NO_CLOSER
#endif

byte nodes;			/* the word: how many */
bool waited;			/* ... its tag */
bool closed;			/* ... and the other one */
byte seq;
byte asleep;			/* on the futex, or parked */
byte token;			/* wake-ups given and not yet noticed */
bool parking;			/* the park word says so */
byte calls;			/* notify: runs that are owed */
bool lock;			/* of the receivers */
byte list, waiters;		/* ... under it */
byte accepted, refused, taken, ended;
byte gone;			/* receivers that took one, and do not come again */

inline wake_futex(all)
{
#ifndef TWIN_quiet_seq
	seq++;
#endif
	d_step {			/* FUTEX_WAKE */
		if
		:: all -> token = token + asleep; asleep = 0
		:: !all && asleep > 0 -> token++; asleep--
		:: else
		fi
	}
}

inline wake(all)
{
#if defined(CASE_armed)
	assert(calls == 0);
	calls++
#elif defined(CASE_parked)
	d_step {			/* cmpxchg PARKING -> NOTIFIED, WAKE */
		if
		:: parking -> parking = false; token = token + asleep; asleep = 0
		:: else
		fi
	}
#else
	wake_futex(all)
#endif
}

proctype sender()
{
	byte n;
	bool was, in;

	do
	:: n == MESSAGES -> break
	:: else ->
		n++;
#ifdef TWIN_late_push
		atomic { was = waited; waited = false; in = !closed };
		if
		:: was -> wake(false)
		:: else
		fi;
		if
		:: in -> atomic { nodes++; accepted++ }
		:: else -> refused++
		fi
#else
		atomic {
			in = !closed;
			was = in && waited;
			if
			:: in -> nodes++; accepted++; waited = false
			:: else -> refused++
			fi
		};
		if
		:: was -> wake(false)
		:: else
		fi
#endif
	od
}

proctype closer()
{
	bool was;

	atomic { was = waited; waited = false; closed = true };
#ifndef TWIN_quiet_close
#if defined(CASE_armed) || defined(CASE_parked)
	if
	:: was -> wake(true)
	:: else
	fi
#else
	wake_futex(true)
#endif
#else
	skip
#endif
}

#define NODES	1
#define CLOSED	2

proctype receiver()
{
	byte s, why;
	bool waiting, more;

again:
#ifndef TWIN_late_seq
	s = seq;			/* (1) */
#endif
#if RECEIVERS > 1
	atomic { !lock -> lock = true };
#endif
	if
	:: waiting -> waiters--; waiting = false
	:: else
	fi;
	atomic { list = list + nodes; nodes = 0 };	/* C */
	if
	:: list > 0 ->
		list--;
		taken++;
		more = false;
#ifndef TWIN_selfish
		if
		:: waiters > 0 && list > 0 -> more = true
		:: waiters > 0 && list == 0 ->
			atomic {	/* B, for those that sleep */
				if
				:: nodes > 0 -> more = true
				:: nodes == 0 && !closed -> waited = true
				:: else
				fi
			}
		:: else
		fi;
#endif
		lock = false;
		if
		:: more -> wake_futex(false)
		:: else
		fi;
		if
		:: RECEIVERS > 1 -> gone++; goto done
		:: goto again
		fi
	:: else
	fi;
	waiters++;
	waiting = true;
	why = 0;
	atomic {			/* (2), B */
		if
#ifndef TWIN_blind
		:: nodes > 0 -> why = NODES
#endif
		:: closed && nodes == 0 -> why = CLOSED
		:: else -> waited = true
		fi
	};
	if
	:: why != 0 -> waiters--; waiting = false
	:: else
	fi;
	lock = false;
	if
	:: why == NODES -> goto again
	:: why == CLOSED -> ended++; goto done
	:: else
	fi;
#if defined(CASE_armed)
end:	atomic { calls > 0 -> calls-- };
	goto again;
#elif defined(CASE_parked)
	parking = true;
	atomic {			/* recheck, behind a full barrier */
		if
		:: !waited -> parking = false; goto again
		:: else
		fi
	};
	atomic {			/* the kernel: only while the word is as it was */
		if
		:: !parking -> goto again
		:: else -> asleep++
		fi
	};
#else
#ifdef TWIN_late_seq
	s = seq;
#endif
	atomic {			/* FUTEX_WAIT */
		if
		:: seq != s -> goto again
		:: else -> asleep++
		fi
	};
#endif
#ifndef CASE_armed
end:	atomic { token > 0 -> token-- };
	goto again;
#endif
done:	skip
}

/* When nothing moves any more, all was taken by those who stay, and the end told. */
init
{
	byte k;

	atomic {
		for (k : 1 .. SENDERS) {
			run sender()
		}
		for (k : 1 .. RECEIVERS) {
			run receiver()
		}
#ifndef NO_CLOSER
		run closer()
#endif
	}
	timeout;
	assert(accepted + refused == SENDERS * MESSAGES);
	assert(taken == accepted || gone == RECEIVERS);
#ifndef NO_CLOSER
	assert(ended + gone == RECEIVERS)
#endif
}
