/* Keeps a library's glibc requirement at 2.17 (2012) though it is built against a newer glibc.
 *
 * glibc 2.34 moved the functions of libpthread, libdl and librt into libc.so.6 and gave each a new version
 * beside its old one. A program linked there asks for the new one and does not start on an older system,
 * though nothing else changed. A source that is compiled with `-include base/glibc_floor.h` asks for the old
 * one, which every glibc has. x86-64 only; elsewhere the header is empty. tools/check-glibc finds what it
 * misses: functions that only newer versions have (stat before 2.33 is one) must be avoided.
 *
 * On a glibc before 2.34 these functions lie in libpthread.so.0, libdl.so.2 and librt.so.1, so that the
 * library must name those among its needs; later ones still ship them, empty. The versions are those of
 * `readelf --dyn-syms libc.so.6`, glibc 2.36. */
#ifndef VGPU_BASE_GLIBC_FLOOR_H
#define VGPU_BASE_GLIBC_FLOOR_H

#ifdef __x86_64__
#define GLIBC_FLOOR(name, version) __asm__(".symver " #name "," #name "@GLIBC_" #version)

GLIBC_FLOOR(dladdr, 2.2.5);
GLIBC_FLOOR(dlclose, 2.2.5);
GLIBC_FLOOR(dlerror, 2.2.5);
GLIBC_FLOOR(dlopen, 2.2.5);
GLIBC_FLOOR(dlsym, 2.2.5);
GLIBC_FLOOR(pthread_attr_getaffinity_np, 2.3.4);
GLIBC_FLOOR(pthread_attr_getguardsize, 2.2.5);
GLIBC_FLOOR(pthread_attr_getstack, 2.2.5);
GLIBC_FLOOR(pthread_attr_getstacksize, 2.2.5);
GLIBC_FLOOR(pthread_attr_setaffinity_np, 2.3.4);
GLIBC_FLOOR(pthread_attr_setguardsize, 2.2.5);
GLIBC_FLOOR(pthread_attr_setstack, 2.2.5);
GLIBC_FLOOR(pthread_attr_setstacksize, 2.2.5);
GLIBC_FLOOR(pthread_condattr_getclock, 2.3.3);
GLIBC_FLOOR(pthread_condattr_getpshared, 2.2.5);
GLIBC_FLOOR(pthread_condattr_setclock, 2.3.3);
GLIBC_FLOOR(pthread_condattr_setpshared, 2.2.5);
GLIBC_FLOOR(pthread_create, 2.2.5);
GLIBC_FLOOR(pthread_detach, 2.2.5);
GLIBC_FLOOR(pthread_getaffinity_np, 2.3.4);
GLIBC_FLOOR(pthread_getattr_np, 2.2.5);
GLIBC_FLOOR(pthread_getname_np, 2.12);
GLIBC_FLOOR(pthread_getspecific, 2.2.5);
GLIBC_FLOOR(pthread_join, 2.2.5);
GLIBC_FLOOR(pthread_key_create, 2.2.5);
GLIBC_FLOOR(pthread_key_delete, 2.2.5);
GLIBC_FLOOR(pthread_kill, 2.2.5);
GLIBC_FLOOR(pthread_mutex_consistent, 2.12);
GLIBC_FLOOR(pthread_mutex_timedlock, 2.2.5);
GLIBC_FLOOR(pthread_mutex_trylock, 2.2.5);
GLIBC_FLOOR(pthread_mutexattr_destroy, 2.2.5);
GLIBC_FLOOR(pthread_mutexattr_getpshared, 2.2.5);
GLIBC_FLOOR(pthread_mutexattr_getrobust, 2.12);
GLIBC_FLOOR(pthread_mutexattr_gettype, 2.2.5);
GLIBC_FLOOR(pthread_mutexattr_init, 2.2.5);
GLIBC_FLOOR(pthread_mutexattr_setpshared, 2.2.5);
GLIBC_FLOOR(pthread_mutexattr_setrobust, 2.12);
GLIBC_FLOOR(pthread_mutexattr_settype, 2.2.5);
GLIBC_FLOOR(pthread_once, 2.2.5);
GLIBC_FLOOR(pthread_rwlock_destroy, 2.2.5);
GLIBC_FLOOR(pthread_rwlock_init, 2.2.5);
GLIBC_FLOOR(pthread_rwlock_rdlock, 2.2.5);
GLIBC_FLOOR(pthread_rwlock_timedrdlock, 2.2.5);
GLIBC_FLOOR(pthread_rwlock_timedwrlock, 2.2.5);
GLIBC_FLOOR(pthread_rwlock_tryrdlock, 2.2.5);
GLIBC_FLOOR(pthread_rwlock_trywrlock, 2.2.5);
GLIBC_FLOOR(pthread_rwlock_unlock, 2.2.5);
GLIBC_FLOOR(pthread_rwlock_wrlock, 2.2.5);
GLIBC_FLOOR(pthread_setaffinity_np, 2.3.4);
GLIBC_FLOOR(pthread_setname_np, 2.12);
GLIBC_FLOOR(pthread_setspecific, 2.2.5);
GLIBC_FLOOR(pthread_sigmask, 2.2.5);
GLIBC_FLOOR(pthread_spin_destroy, 2.2.5);
GLIBC_FLOOR(pthread_spin_init, 2.2.5);
GLIBC_FLOOR(pthread_spin_lock, 2.2.5);
GLIBC_FLOOR(pthread_spin_trylock, 2.2.5);
GLIBC_FLOOR(pthread_spin_unlock, 2.2.5);
GLIBC_FLOOR(sem_close, 2.2.5);
GLIBC_FLOOR(sem_destroy, 2.2.5);
GLIBC_FLOOR(sem_getvalue, 2.2.5);
GLIBC_FLOOR(sem_init, 2.2.5);
GLIBC_FLOOR(sem_open, 2.2.5);
GLIBC_FLOOR(sem_post, 2.2.5);
GLIBC_FLOOR(sem_timedwait, 2.2.5);
GLIBC_FLOOR(sem_trywait, 2.2.5);
GLIBC_FLOOR(sem_unlink, 2.2.5);
GLIBC_FLOOR(sem_wait, 2.2.5);
GLIBC_FLOOR(shm_open, 2.2.5);
GLIBC_FLOOR(shm_unlink, 2.2.5);

#endif
#endif
