/*
 * How long a secret that was taken back can still be read on a host, whatever the network does and whenever servers of
 * `lapsed` crash, are stopped or hang. One secret, one host, one revocation, time in ticks. The service and the holder
 * keep their word here; README.md says what is left out, docs/threat-model.md what that means.
 *
 * Let C be when the service committed the revocation. Claimed, and checked in every state that can be reached:
 *
 *   1. A read that asks (by name, or of a descriptor) is not admitted at C + LEASE or later.
 *   2. A mapping, which never asks, shows nothing at C + LEASE + LOOK or later; and for each server in a row that failed
 *      before one has looked or withdrawn again, DEAD_AFTER + START later.
 *   3. After the host's receipt no read of any kind succeeds, also if the server dies right then; and none that began
 *      before it ends after it.
 *
 * Why 2 adds up: a page may have come in right before the lease ended, and the server stop right before its next look.
 *
 * Each FAULT_ below takes one thing out of the design, and spin must find that a claim then breaks. Each `reached` must
 * be reached. SERVICE_LIES and SAVED_FIRST ask what is left when the service lies with its online keys; CLAIM checks one
 * claim alone.
 */

/*
 * In ticks. Small, but so that a lease can begin and end within one hang that the holder forgives (LEASE < DEAD_AFTER).
 * -D sets others.
 */
#ifndef LEASE
#define LEASE      2  /* from the sending of the nonce; signed in the timestamp */
#endif
#ifndef LOOK
#define LOOK       2  /* how often the main thread looks for mappings of leases that are over */
#endif
#ifndef DEAD_AFTER
#define DEAD_AFTER 3  /* how long the holder waits for a beat of both threads */
#endif
#ifndef START
#define START      1  /* until a server that resumes has withdrawn what an earlier one may have shown */
#endif
#ifndef IN_A_ROW
#define IN_A_ROW   1  /* how many servers in a row may fail; at one more, the holder gives up and withdraws alone */
#endif

#define BOUND  (LEASE + LOOK + row * (DEAD_AFTER + START))
#define LATEST (LEASE + LOOK + (IN_A_ROW + 1) * (DEAD_AFTER + START))

/* Spin shows the number of a claim that breaks. */
#ifndef CLAIM
#define claim(number, holds) assert((holds) || number == 0)
#else
#define claim(number, holds) assert((holds) || number != CLAIM)
#endif

/* What must happen, or the model proves nothing. Spin lists what was never reached. */
#define reached(event) if :: event -> assert(true) :: else fi

/* ---- the service ---- */

bit committed;  /* version 2 of the realm, without the secret, is what the service has */
byte age;       /* ticks since then, up to LATEST, where it is set by a receipt: then it matters no more */
bit receipt;    /* the host has signed that version 2 is in effect; for ever */

/* ---- the network: it delivers what it has, when it likes, as often as it likes, or never ---- */

/*
 * Whether the nonce that the host waits for was sent before the commit: then the network may have had it answered with
 * version 1, and have kept that. With version 2 it can have it answered now. Echoes over earlier nonces it has always.
 */
bit early;

/* ---- the host's disk ---- */

bit saved2;  /* version 2 was saved; else version 1 */

/* ---- the server of `lapsed`: all of it is gone when the process is ---- */

mtype = {
  RUNS,      /* both threads do */
  STUCK,     /* the main thread is stuck; the serving thread goes on answering */
  STOPPED,   /* SIGSTOP: neither does */
  DEAD,      /* SIGKILL, a crash, or killed by the holder */
  STARTING,  /* the next one was started, and answers nobody yet */
  REFUSING,  /* it answers, everything with EACCES, and has not withdrawn yet */
  GONE       /* the holder gave up: nothing is mounted */
};
mtype server = RUNS;

/* What is known here of the realm, and how far it is in effect. */
#define NOTHING  0  /* since the start no news came */
#define OLD      1  /* version 1 is verified, the secret is served as long as the lease holds */
#define VERIFIED 2  /* version 2 is; nothing has happened yet */
#define FLIPPED  3  /* the slot's state says revoked: the serving thread sees it at once */
#define SHOWN    4  /* the barrier was answered: the serving thread has nothing older in hand */
#define EFFECT   5  /* the kernel has forgotten the pages */
byte known = OLD;

byte left;      /* of the lease, by boot time: what the serving thread compares, in shared memory */
bit noted;      /* mappings were withdrawn since this lease ended */
byte look;      /* ticks until the main thread looks at the lease again */

mtype = { IDLE, ASKED, CONFIRMED };
mtype nonce = IDLE;
byte since;     /* ticks since the nonce was sent, up to LEASE */
bit confirmed2; /* which version the answer confirmed */

mtype = { NONE, READ, FAULT };
mtype admitted = NONE;  /* what the serving thread has admitted, and not replied to yet */

/* ---- the next server, prepared beside it (SIGHUP); with a lease of its own, by nonces of its own ---- */

byte next = NOTHING;  /* NOTHING: there is none; else OLD or EFFECT, what it would serve */
byte nextLeft;
bit nextNoted;
bit owes;             /* it has taken over, and has yet to take back what its predecessor showed */

/* ---- kernel and holder ---- */

bit page;       /* the kernel has the secret's page: every mapping shows it, nobody is asked */
byte due;       /* ticks until the holder misses a beat */
byte startLeft; /* ticks until a server that was started must have withdrawn */
byte row;       /* servers that failed in a row */

#define answers (server == RUNS || server == STUCK)
#define live    (known == OLD || known == VERIFIED)
#ifdef FAULT_MAIN_KEEPS_LEASE
#define admits  (live && (left > 0 || (server == STUCK && !noted)))
#else
#define admits  (live && left > 0)
#endif

#ifdef FAULT_ECHO_BEFORE_EFFECT
#define in_effect (known >= VERIFIED)
#else
#define in_effect (known == EFFECT)
#endif

/* An echo names what a read found that began after the nonce came. */
#if defined(FAULT_SERVICE_STALE) || defined(SERVICE_LIES)
#define can_say_1 true
#else
#define can_say_1 (early || !committed)
#endif

/* After a receipt it is the third claim's matter. */
#define in_bound(latest) (!committed || receipt || age < (latest))

inline renew(ticks) {
  if
  :: ticks > left -> left = ticks; noted = 0
  :: else
  fi
}

/* The process is gone, and its memory with it. A read in hand is asked again, of the next one. */
inline die() {
  server = DEAD; known = NOTHING; left = 0; noted = 0; look = 0;
  nonce = IDLE; since = 0; confirmed2 = 0; early = 0; owes = 0;
  admitted = NONE;
  next = NOTHING; nextLeft = 0; nextNoted = 0
}

inline take_over(what) {
  known = what; left = nextLeft; look = 0;
#ifdef FAULT_NEXT_NOTED
  noted = nextNoted;
#else
  noted = 0;
#endif
  owes = (what == FLIPPED);
  nonce = IDLE; since = 0; confirmed2 = 0; early = 0;
  next = NOTHING; nextLeft = 0; nextNoted = 0
}

/* Commits once, at any moment, or never. */
active proctype Service() {
  atomic { committed = 1 }
}

/* The main thread: follows the service, withdraws, signs. It may dawdle with everything but its looks and beats. */
active proctype Main() {
  do
  /* News: pushed, or fetched. A timestamp that is older than what was verified, or saved, is refused. */
  :: atomic { server == RUNS && known == NOTHING && !saved2 ->
       known = OLD;
#ifdef FAULT_RESTART_SERVES
       renew(LEASE)
#endif
     }
  :: atomic { server == RUNS && committed && known == OLD -> known = VERIFIED }
  :: atomic { server == RUNS && committed && known == NOTHING -> known = FLIPPED }
#ifdef FAULT_ROLLBACK
  :: atomic { server == RUNS && known >= VERIFIED -> known = OLD }
#endif
#ifdef FAULT_NEWS_RENEWS
  :: atomic { server == RUNS && known == OLD -> renew(LEASE) }
#endif

  /* The three steps of a revocation, and the receipt. Pages wait for a fault in hand: the kernel has locked them. */
  :: atomic { server == RUNS && known == VERIFIED -> known = FLIPPED }
#ifdef FAULT_NO_BARRIER
  :: atomic { server == RUNS && known == FLIPPED -> known = SHOWN }
#else
  :: atomic { server == RUNS && known == FLIPPED && admitted == NONE -> known = SHOWN }
#endif
  :: atomic { server == RUNS && known == SHOWN && admitted != FAULT ->
#ifndef FAULT_NO_INVALIDATE
       page = 0;
#endif
       owes = 0; known = EFFECT
     }
#ifdef FAULT_RECEIPT_EARLY
  :: atomic { server == RUNS && known >= FLIPPED && !receipt -> receipt = 1; age = LATEST }
#elif defined(SAVED_FIRST)
  :: atomic { server == RUNS && known == EFFECT && saved2 && !receipt -> receipt = 1; age = LATEST }
#else
  :: atomic { server == RUNS && known == EFFECT && !receipt -> receipt = 1; age = LATEST }
#endif

  :: atomic { server == RUNS && known >= VERIFIED && !saved2 -> saved2 = 1 }

  /* A nonce is sent at any time; then whatever answers the one before is an old echo. */
  :: atomic { server == RUNS && nonce != CONFIRMED && known != NOTHING ->
       nonce = ASKED; since = 0; early = !committed
     }
  /* What the echo names must be what was verified; else it is fetched first, and asked for with another nonce. */
  :: atomic { server == RUNS && nonce == ASKED && can_say_1 && known == OLD -> nonce = CONFIRMED; confirmed2 = 0 }
#ifdef FAULT_ECHO_UNVERIFIED
  :: atomic { server == RUNS && nonce == ASKED && committed -> nonce = CONFIRMED; confirmed2 = 0 }
#else
  :: atomic { server == RUNS && nonce == ASKED && committed && known >= VERIFIED -> nonce = CONFIRMED; confirmed2 = 1 }
  :: atomic { server == RUNS && nonce == ASKED && committed && known == OLD -> nonce = IDLE; since = 0 }
#endif
  /* An echo over another nonce, which the network had kept. */
#ifdef FAULT_ECHO_REPLAYED
  :: atomic { server == RUNS && nonce == ASKED && known == OLD -> nonce = CONFIRMED; confirmed2 = 0 }
#else
  :: atomic { server == RUNS && nonce == ASKED -> nonce = IDLE; since = 0 }
#endif
  /* What was confirmed is in effect, and saved: the lease runs from the sending. */
  :: atomic { server == RUNS && nonce == CONFIRMED && (!confirmed2 || (saved2 && in_effect)) ->
#ifdef FAULT_LEASE_FROM_ANSWER
       renew(LEASE);
#else
       renew(LEASE - since);
#endif
       reached(committed && age > 0 && known == OLD && left > 0);
       nonce = IDLE; since = 0; confirmed2 = 0; early = 0
     }

  /* The look at the lease, once for each that ended. It also says that this server is well again. */
  :: atomic { server == RUNS && look == 0 && !owes && admitted != FAULT ->
       look = LOOK; row = 0;
#ifndef FAULT_NO_LOOK
       if
       :: left == 0 && !noted ->
            reached(committed && page && known == OLD);
            page = 0; noted = 1
       :: else
       fi
#endif
     }
#ifdef FAULT_WALL_CLOCK
  :: atomic { server == RUNS && left > 0 -> left = LEASE }  /* set back */
#endif
  od
}

/* The serving thread: one request at a time, decided when it is taken. The main thread may be stuck meanwhile. */
active proctype Serving() {
  do
  :: atomic { answers && admitted == NONE && admits ->
       claim(3, !receipt);
       claim(1, in_bound(LEASE));
       reached(committed && age == LEASE - 1);
       reached(server == STUCK && committed);
       if
       :: admitted = READ
       :: !page -> admitted = FAULT
       fi
     }
  :: atomic { answers && admitted == READ ->
       claim(3, !receipt);
       reached(known == FLIPPED);
       admitted = NONE
     }
  :: atomic { answers && admitted == FAULT ->
       claim(3, !receipt);
       page = 1; admitted = NONE
     }
  od
}

/* Whoever has mapped the secret looks at it, at any moment. Nobody can refuse. */
active proctype Mapping() {
  do
  :: atomic { page ->
       claim(3, !receipt);
       claim(2, in_bound(BOUND));
       reached(committed && row == 0 && age == LEASE + LOOK - 1);
       reached(committed && server == STOPPED && age > LEASE + LOOK);
       reached(committed && row == 1 && age == LEASE + LOOK + DEAD_AFTER + START - 1)
     }
  od
}

/* What goes wrong: crash, stop, hang, each at any moment. A stop and a hang may pass. */
active proctype Fate() {
  do
  :: atomic { server == RUNS && row <= IN_A_ROW ->
       reached(receipt && !saved2);
       row++; die()
     }
  :: atomic { (server == STARTING || server == REFUSING) && row <= IN_A_ROW ->
       row++; due = startLeft; startLeft = 0; die()
     }
  :: atomic { server == STUCK || server == STOPPED -> die() }
  :: atomic { server == RUNS && row <= IN_A_ROW -> row++; server = STOPPED }
  :: atomic { server == RUNS && row <= IN_A_ROW -> row++; server = STUCK }
  :: atomic { server == STOPPED ->
       reached(left == 0 && admitted == FAULT);
       server = RUNS
     }
  :: atomic { server == STUCK -> server = RUNS }
  od
}

/* The dead-man's switch. It hears of a death at once, or at the latest when the beat is missed. */
active proctype Holder() {
  do
#ifndef FAULT_NO_SWITCH
  :: atomic { (server == STOPPED || server == STUCK) && due == 0 -> die() }
#endif
  :: atomic { server == DEAD && row <= IN_A_ROW -> server = STARTING; startLeft = START; due = 0 }
  :: atomic { server == DEAD && row > IN_A_ROW ->
       reached(page);
#ifndef FAULT_HOLDER_KEEPS_PAGES
       page = 0;
#endif
       server = GONE; row = 0; due = 0
     }
  /* The next server's own steps, in which it may die again. */
  :: atomic { server == STARTING -> server = REFUSING }
  :: atomic { server == REFUSING ->
       reached(page && row == IN_A_ROW);
#ifndef FAULT_NEXT_KEEPS_PAGES
       page = 0;
#endif
       server = RUNS; row = 0; look = 0; startLeft = 0; due = DEAD_AFTER
     }
  /* Another holder, another mount. */
  :: atomic { server == GONE -> server = STARTING; startLeft = START; due = 0 }
  od
}

/* SIGHUP: the next server is made ready beside the one that serves, which then yields. */
active proctype HandOver() {
  do
  /* It verifies what the network shows it; each nonce of its own is answered at once, or it had a shorter lease. */
  :: atomic { server == RUNS && !committed -> next = OLD; nextLeft = LEASE; nextNoted = 0 }
  :: atomic { server == RUNS && committed -> next = EFFECT; nextLeft = 0; nextNoted = 0 }
  /* It may look at its lease before it serves; what it withdraws then, the one that serves may show again. */
  :: atomic { server == RUNS && next != NOTHING && nextLeft == 0 && !nextNoted && admitted != FAULT ->
       page = 0; nextNoted = 1
     }
  /* The one that serves finishes what it has in hand, and says how far it has followed the realm: the next catches up. */
  :: atomic { server == RUNS && next == OLD && known <= OLD && admitted == NONE ->
       reached(nextNoted && left > 0 && page);
       take_over(OLD)
     }
  :: atomic { server == RUNS && next != NOTHING && committed && admitted == NONE -> take_over(FLIPPED) }
#ifdef FAULT_NEXT_BEHIND
  :: atomic { server == RUNS && next == OLD && admitted == NONE -> take_over(OLD) }
#endif
  /* If it dies before it has said that, the next one may not serve: both are gone. */
#ifdef FAULT_NEXT_UNTOLD
  :: atomic { server == RUNS && next == OLD && row <= IN_A_ROW -> row++; admitted = NONE; take_over(OLD) }
#endif
  od
}

/* A tick. It waits for whatever is due now: a reply, a look, a taking back, the holder, a start. */
active proctype Time() {
  do
  :: atomic {
       !(answers && admitted != NONE) &&
       !(server == RUNS && (look == 0 || owes)) &&
#ifdef FAULT_NO_SWITCH
       !(due == 0 && server == DEAD) &&
#else
       !(due == 0 && (server == DEAD || server == STOPPED || server == STUCK)) &&
#endif
       !(startLeft == 0 && (server == STARTING || server == REFUSING)) ->
       if :: committed && age < LATEST -> age++ :: else fi;
       if :: left > 0 -> left-- :: else fi;
       if :: nextLeft > 0 -> nextLeft-- :: else fi;
       if :: nonce != IDLE && since < LEASE -> since++ :: else fi;
       if :: look > 0 -> look-- :: else fi;
       if :: startLeft > 0 -> startLeft-- :: else fi;
       if
       :: server == RUNS -> due = DEAD_AFTER
       :: else -> if :: due > 0 -> due-- :: else fi
       fi;
       reached(age == LATEST && !receipt)
     }
  od
}
