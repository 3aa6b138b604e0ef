/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waiting for a pool: ulib/pool/wait.c, and the counting in submit.c and
 * worker.c.
 *
 * shows: who waits finds its own tasks done, and is not left asleep
 * case three: three that submit and wait, one worker
 * twin stale_epoch: a submitter does not look at the epoch again after its count
 * twin count_after_push: a task is counted after a worker can take it
 * twin submitted_first: the counts of submitted are read before those of done
 * twin no_membarrier: a worker's look at drain overtakes its count of done
 * twin no_barrier: a worker reads the sums before others see its count of done
 * twin outside_epoch: what a task submits belongs to the epoch of the day, not to its own
 * twin join_running: who comes during a flip is content with that one
 *
 * Each submits a task and waits, some of them twice; the tasks of the first
 * submit one more each. When nothing can move any more ("timeout"), all must be
 * through: else somebody sleeps whom nobody told.
 */
#ifdef CASE_three
#define THREADS	3
#define WORKERS	1
#else
#define THREADS	2
#define WORKERS	2
#endif

byte submitted[2];			/* a node's, atomic */
byte done[2 * WORKERS];			/* [worker * 2 + epoch] */
#ifdef TWIN_no_barrier
byte seen[2 * WORKERS];			/* what has left the store buffers */
#define DONE(w, e)	seen[(w) * 2 + (e)]
#else
#define DONE(w, e)	done[(w) * 2 + (e)]
#endif
bit epoch;
byte drain;				/* 0, or seq * 4 + 2 + epoch */
byte drain_seq;
byte flips_begun, flips_done;
bool flip_led;
bool lock;
bool asleep[THREADS];
chan queue = [THREADS + 1] of { byte, bit, bool };	/* whose, epoch, nests */
byte ran[THREADS];			/* tasks of each that are done */
byte through;

inline acquire()	{ atomic { !lock -> lock = true } }
inline release()	{ lock = false }
inline broadcast()						\
{								\
	d_step {						\
		asleep[0] = false; asleep[1] = false;		\
		asleep[THREADS - 1] = false			\
	}							\
}

/* wait.c:pulse__epoch_empty, each word in a step of its own */
inline epoch_empty(e, d, s, is)
{
#ifdef TWIN_submitted_first
	s = submitted[e];
	d = DONE(0, e);
	d = d + (WORKERS > 1 -> DONE(WORKERS - 1, e) : 0);
#else
	d = DONE(0, e);
	d = d + (WORKERS > 1 -> DONE(WORKERS - 1, e) : 0);
	s = submitted[e];
#endif
	d_step { is = (d == s); d = 0; s = 0 }
}

proctype worker(byte me)
{
	byte whose, look, d, s;
	bit e, is;
	bool nests;

end:	do
	:: queue?whose,e,nests ->
		if
		:: nests ->		/* counted while its own is not done */
#ifdef TWIN_outside_epoch
			look = e;
			e = epoch;
			submitted[e]++;
			queue!whose,e,false;
			e = look;
#else
			submitted[e]++;
			queue!whose,e,false;
#endif
			nests = false
		:: else
		fi;
		ran[whose]++;
#ifdef TWIN_no_membarrier
		look = drain;
		done[me * 2 + e]++;
#else
		done[me * 2 + e]++;
		look = drain;
#endif
		if
		:: look == 0
		/* More of that epoch at hand: whoever does it looks. */
		:: look && WORKERS == 1 && queue?[_, eval(look & 1), _]
		:: look ->
			epoch_empty(look & 1, d, s, is);
			if
			:: is -> acquire(); broadcast(); release()
			:: else
			fi
		fi;
#ifdef TWIN_no_barrier
		seen[me * 2 + e] = done[me * 2 + e];
#endif
		d_step { whose = 0; e = 0; look = 0; is = 0 }
	od
}

proctype thread(byte me; byte rounds)
{
	byte mine, want, d, s;
	bit e, now, old, is;

again:	e = epoch;			/* pulse__route_from */
#ifndef TWIN_count_after_push
	submitted[e]++;			/* pulse__count_submit */
#endif
#ifndef TWIN_stale_epoch
	now = epoch;			/* pulse__follow_epoch */
	do
	:: now != e ->
		submitted[e]--;
		if
		:: drain ->		/* pulse__uncount_submit */
			epoch_empty(drain & 1, d, s, is);
			if
			:: is -> acquire(); broadcast(); release()
			:: else
			fi
		:: else
		fi;
		e = now;
		submitted[e]++;
		now = epoch
	:: else -> break
	od;
#endif
	queue!me,e,(me == 0);
	want = want + (me == 0 -> 2 : 1);
#ifdef TWIN_count_after_push
	submitted[e]++;
#endif

	acquire();			/* pulse__pool_drain */
#ifdef TWIN_join_running
	mine = flips_done + 1;
#else
	mine = flips_begun + 1;
#endif
	do
	:: flips_done >= mine -> break
	:: flips_done < mine && flip_led ->
		atomic { asleep[me] = true; release() };
		!asleep[me];
		acquire()
	:: flips_done < mine && !flip_led ->
		flip_led = true;	/* pulse__flip */
		if
		:: flips_begun == flips_done ->
			flips_begun++;
			epoch = 1 - epoch
		:: else
		fi;
		old = 1 - epoch;
		drain_seq = (drain_seq + 1) % 4;
		drain = drain_seq * 4 + 2 + old;
		do
		:: epoch_empty(old, d, s, is);
			if
			:: is -> break
			:: else
			fi;
			atomic { asleep[me] = true; release() };
			!asleep[me];
			acquire()
		od;
		flips_done++;
		drain = 0;
		flip_led = false;
		broadcast()
	od;
	release();
	assert(ran[me] == want);
	d_step { mine = 0; e = 0; now = 0; old = 0; is = 0 };
	rounds--;
	if
	:: rounds > 0 -> goto again
	:: else
	fi;
	through++
}

init
{
	atomic {
		run worker(0);
#if WORKERS > 1
		run worker(1);
#endif
		run thread(0, 1);
		run thread(1, 2);
#if THREADS > 2
		run thread(2, 1);
#endif
	}
	timeout;
	assert(through == THREADS)
}
