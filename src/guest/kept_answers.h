/* Answers that stay true: questions to the driver that programs ask again and again (a kernel's attributes,
 * occupancy, whether the primary context is active). `kept` in the table of calls marks the questions,
 * `changes` the calls after which any of the answers may be another. Each thread keeps its own, the least
 * time ago asked for in its place. */
#ifndef VGPU_GUEST_KEPT_ANSWERS_H
#define VGPU_GUEST_KEPT_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>

#include "calls_generated.h"

#define KEPT_QUESTION_BYTES 40
#define KEPT_ANSWER_BYTES   16

/* One question asked of one context. */
struct kept_question {
    uint64_t generation; /* of all answers; 0: nothing kept here */
    uint64_t call;
    uint64_t context;
    uint8_t request[KEPT_QUESTION_BYTES];
};

struct kept_answer {
    struct kept_question question;
    uint8_t reply[KEPT_ANSWER_BYTES];
};

/* Puts the question (sizes within the limits above; the request's padding is zero) and looks for its answer:
 * true with the reply. False when it must be asked; then `question` is for kept_remember(). */
bool kept_find(struct kept_question *question, enum call_number call, const void *request,
               size_t request_bytes, void *reply, size_t reply_bytes);

/* The driver's answer to a question that kept_find() did not find. */
void kept_remember(const struct kept_question *question, const void *reply, size_t reply_bytes);

/* What was true may be so no more. Any thread; counts for all. To be called after the change. */
void kept_forget(void);

#endif
