#include "base/suggest.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LONGEST_WORD 63 /* a longer word is no typing mistake of one of ours */

static bool letters_equal(char left, char right)
{
    return (left == '-' ? '_' : left) == (right == '-' ? '_' : right);
}

static size_t smaller(size_t left, size_t right)
{
    return left < right ? left : right;
}

/* Edits that turn one word into the other: insertions, deletions, changes and swaps of neighbours (the
 * "optimal string alignment" distance), three rows of the table at a time. */
static size_t edit_distance(const char *left, size_t left_length, const char *right, size_t right_length)
{
    size_t rows[3][LONGEST_WORD + 1];
    for (size_t j = 0; j <= right_length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= left_length; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= right_length; j++) {
            size_t change = letters_equal(left[i - 1], right[j - 1]) ? 0 : 1;
            row[j] = smaller(above[j - 1] + change, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && letters_equal(left[i - 1], right[j - 2]) &&
                letters_equal(left[i - 2], right[j - 1]))
                row[j] = smaller(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[left_length % 3][right_length];
}

const char *suggest_nearest(const char *word, const char *const *words, size_t count)
{
    size_t length = strlen(word);
    if (length == 0 || length > LONGEST_WORD)
        return NULL;
    const char *nearest = NULL;
    size_t nearest_distance = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t candidate_length = strlen(words[i]);
        if (candidate_length > LONGEST_WORD)
            continue;
        size_t distance = edit_distance(word, length, words[i], candidate_length);
        size_t allowed = candidate_length / 3 > 0 ? candidate_length / 3 : 1;
        if (distance <= allowed && distance < nearest_distance) {
            nearest = words[i];
            nearest_distance = distance;
        }
    }
    return nearest;
}
