package app.latchkey.sdk

import java.net.ServerSocket
import java.nio.file.Path
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.io.TempDir

class WalletTest {
    @TempDir
    lateinit var folder: Path

    private val wallet get() = folder.resolve("wallet").toString()

    @Test
    fun `a new wallet is empty and opens again with its sealing key`() {
        val sealing = MemorySealingKeys()
        repeat(2) {
            Phone.open(wallet, sealing, JvmDeviceKey()).use { phone ->
                assertEquals(emptyList(), phone.keys())
                assertEquals(emptyList(), phone.properties())
                assertEquals(Protection.HARDWARE, phone.protection())
            }
        }
    }

    @Test
    fun `without a keystore of the platform, keys live in software and the library says so`() {
        Phone.open(wallet, MemorySealingKeys(), null).use {
            assertEquals(Protection.SOFTWARE, it.protection())
        }
    }

    @Test
    fun `a wallet whose sealing key is gone says what to do about it`() {
        Phone.open(wallet, MemorySealingKeys(), null).close()
        val refusal = assertFailsWith<LatchkeyException.Wallet> {
            Phone.open(wallet, MemorySealingKeys(), null)
        }
        assertEquals(WalletFault.SEALING_KEY_LOST, refusal.fault)
    }

    @Test
    fun `an exception that nobody expected in the keystore is a refusal, not a crash`() {
        val broken = object : SealingKeyStore {
            override fun load(wallet: String): ByteArray? = error("the keystore is gone")
            override fun create(wallet: String): ByteArray = error("the keystore is gone")
        }
        val refusal = assertFailsWith<LatchkeyException.Wallet> { Phone.open(wallet, broken, null) }
        assertEquals(WalletFault.SEALING_KEY_REFUSED, refusal.fault)
        assertTrue("the keystore is gone" in refusal.detail, refusal.detail)
    }

    @Test
    fun `a portal that cannot be reached is told apart from an address that cannot be`() = runBlocking {
        val closedPort = ServerSocket(0).use { it.localPort }
        Phone.open(wallet, MemorySealingKeys(), JvmDeviceKey()).use { phone ->
            assertFailsWith<LatchkeyException.Offline> {
                phone.signInStart("http://127.0.0.1:$closedPort", "ana@example.org")
            }
            val invalid = assertFailsWith<LatchkeyException.Invalid> {
                phone.signInStart("ftp://example.org", "ana@example.org")
            }
            assertEquals(InvalidInput.PORTAL_ADDRESS, invalid.what)
            assertFailsWith<LatchkeyException.NotSignedIn> { phone.sync() }
            Unit
        }
    }
}
