/* Threads: see threads.h. */
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <unistd.h>
#endif
#include "threads.h"

enum {
    STACK = 1 << 20 // some systems give threads less than a decoder of video needs
};

#ifdef _WIN32

static DWORD WINAPI entry(void *const argument) {
    const thread *const t = argument;
    t->work(t->argument);
    return 0;
}

bool thread_start(thread *const t, void (*const work)(void *), void *const argument) {
    t->work = work;
    t->argument = argument;
    t->handle = CreateThread(NULL, STACK, entry, t, 0, NULL);
    return t->handle != NULL;
}

void thread_join(thread *const t) {
    (void)WaitForSingleObject(t->handle, INFINITE);
    (void)CloseHandle(t->handle);
}

unsigned long thread_process(void) {
    return GetCurrentProcessId();
}

void thread_lock_init(thread_lock *const l) {
    InitializeSRWLock(l);
}

void thread_lock_free(thread_lock *const l) {
    (void)l;
}

void thread_lock_take(thread_lock *const l) {
    AcquireSRWLockExclusive(l);
}

void thread_lock_give(thread_lock *const l) {
    ReleaseSRWLockExclusive(l);
}

void thread_signal_init(thread_signal *const s) {
    InitializeConditionVariable(s);
}

void thread_signal_free(thread_signal *const s) {
    (void)s;
}

void thread_signal_wait(thread_signal *const s, thread_lock *const l) {
    (void)SleepConditionVariableSRW(s, l, INFINITE, 0);
}

void thread_signal_all(thread_signal *const s) {
    WakeAllConditionVariable(s);
}

#else

static void *entry(void *const argument) {
    const thread *const t = argument;
    t->work(t->argument);
    return NULL;
}

bool thread_start(thread *const t, void (*const work)(void *), void *const argument) {
    pthread_attr_t how;
    sigset_t all, before;
    t->work = work;
    t->argument = argument;
    if (pthread_attr_init(&how) != 0)
        return false;
    (void)pthread_attr_setstacksize(&how, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool started = pthread_create(&t->handle, &how, entry, t) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&how);
    return started;
}

void thread_join(thread *const t) {
    (void)pthread_join(t->handle, NULL);
}

unsigned long thread_process(void) {
    return (unsigned long)getpid();
}

void thread_lock_init(thread_lock *const l) {
    (void)pthread_mutex_init(l, NULL);
}

void thread_lock_free(thread_lock *const l) {
    (void)pthread_mutex_destroy(l);
}

void thread_lock_take(thread_lock *const l) {
    (void)pthread_mutex_lock(l);
}

void thread_lock_give(thread_lock *const l) {
    (void)pthread_mutex_unlock(l);
}

void thread_signal_init(thread_signal *const s) {
    (void)pthread_cond_init(s, NULL);
}

void thread_signal_free(thread_signal *const s) {
    (void)pthread_cond_destroy(s);
}

void thread_signal_wait(thread_signal *const s, thread_lock *const l) {
    (void)pthread_cond_wait(s, l);
}

void thread_signal_all(thread_signal *const s) {
    (void)pthread_cond_broadcast(s);
}

#endif
