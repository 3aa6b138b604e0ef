/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The word of a mailbox (ulib/mailbox/box_inline.h), and who sleeps on it
 * (ulib/mailbox/receive.c, wake.c).
 *
 * shows: each message that went in is taken, and after a close no receiver sleeps, whoever does what in between
 * case many: two receivers
 * case open: nobody closes it
 * case parked: the receiver is a worker, and parks
 * case armed: the receiver goes, and is called by notify
 * twin late_seq: the receiver notes seq after it has announced itself
 * twin quiet_seq: who wakes does not raise seq
 * twin quiet_close: close wakes nobody
 * twin blind: the receiver announces itself without a look at the box
 * twin late_push: a sender takes the tag away before its node is there
 *
 * The word changes by compare-exchange, so a load and its exchange that succeeded
 * are one step; each of them is acquire and release, or more.
 */
#ifdef CASE_many
#define RECEIVERS	2
#define SENDERS		1
#else
#define RECEIVERS	1
#define SENDERS		2
#endif
#define MESSAGES	2

byte nodes;			/* the word: how many */
bool waited;			/* ... its tag */
bool closed;			/* ... and the other one */
byte seq;
byte asleep;			/* on the futex, or parked */
byte token;			/* wake-ups given and not yet noticed */
bool parking;			/* the park word says so */
byte calls;			/* notify: runs that are owed */
byte accepted, refused, taken, ended;

inline wake()
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
#ifndef TWIN_quiet_seq
	seq++;
#endif
	d_step {			/* FUTEX_WAKE, all */
		token = token + asleep;
		asleep = 0
	}
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
		:: was -> wake()
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
		:: was -> wake()
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
	if
	:: was -> wake()
	:: else
	fi
#else
	skip
#endif
}

proctype receiver()
{
	byte s;

again:
#ifndef TWIN_late_seq
	s = seq;			/* (1) */
#endif
	atomic {			/* C */
		if
		:: nodes > 0 -> taken = taken + nodes; nodes = 0; goto again
		:: else
		fi
	};
	atomic {			/* (2), B */
		if
#ifndef TWIN_blind
		:: nodes > 0 -> goto again
#endif
		:: closed && nodes == 0 -> ended++; goto done
		:: else -> waited = true
		fi
	};
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

/* When nothing moves any more, all was taken, and the end was told. */
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
#ifndef CASE_open
		run closer()
#endif
	}
	timeout;
	assert(accepted + refused == SENDERS * MESSAGES);
	assert(taken == accepted);
#ifndef CASE_open
	assert(ended == RECEIVERS)
#endif
}
