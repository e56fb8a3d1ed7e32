package app.latchkey.sdk

import kotlin.test.Test
import kotlin.test.assertTrue

class LibraryTest {
    @Test
    fun `the library is found and says its version`() {
        assertTrue(Regex("""\d+\.\d+\.\d+""").matches(libraryVersion()))
    }
}
