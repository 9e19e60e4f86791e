/* Threads, locks and signals of POSIX and of Windows, and numbers that threads share. */
#ifndef DAVD_CODING_THREADS_H
#define DAVD_CODING_THREADS_H

#include <stdbool.h>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#undef near // words of 16-bit compilers, and good names
#undef far
typedef HANDLE thread_handle;
typedef SRWLOCK thread_lock;
typedef CONDITION_VARIABLE thread_signal;
#else
#include <pthread.h>
typedef pthread_t thread_handle;
typedef pthread_mutex_t thread_lock;
typedef pthread_cond_t thread_signal;
#endif

// A number that one thread writes and others read: what was written before it is seen after it.
#ifdef _MSC_VER
typedef volatile long shared_int;
static inline int shared_load(shared_int *const n) {
    return (int)InterlockedOr(n, 0);
}
static inline void shared_store(shared_int *const n, const int value) {
    (void)InterlockedExchange(n, value);
}
#else
#include <stdatomic.h>
typedef atomic_int shared_int;
static inline int shared_load(shared_int *const n) {
    return atomic_load_explicit(n, memory_order_acquire);
}
static inline void shared_store(shared_int *const n, const int value) {
    atomic_store_explicit(n, value, memory_order_release);
}
#endif

typedef struct thread {
    thread_handle handle;
    void (*work)(void *);
    void *argument;
} thread;

// False: the system has none to give. A thread takes no signals of the process. `*t` must stay
// where it is until thread_join().
bool thread_start(thread *t, void (*work)(void *), void *argument);
void thread_join(thread *t);
unsigned long thread_process(void); // number of the process: another one after a fork

void thread_lock_init(thread_lock *l);
void thread_lock_free(thread_lock *l);
void thread_lock_take(thread_lock *l);
void thread_lock_give(thread_lock *l);

void thread_signal_init(thread_signal *s);
void thread_signal_free(thread_signal *s);
void thread_signal_wait(thread_signal *s, thread_lock *l); // may also return for no reason
void thread_signal_all(thread_signal *s);

#endif
