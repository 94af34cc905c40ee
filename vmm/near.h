/* SPDX-License-Identifier: Apache-2.0 */
/* What was probably meant by a word that isn't known. */
#ifndef VMM_NEAR_H
#define VMM_NEAR_H

/*
 * The one of @words (NULL at the end) that is most like @word: a letter or two are wrong, missing,
 * too many or in the wrong order; else the first that begins with it. NULL: none is near. Any
 * thread.
 */
const char *near_word(const char *word, const char *const *words);

#endif
