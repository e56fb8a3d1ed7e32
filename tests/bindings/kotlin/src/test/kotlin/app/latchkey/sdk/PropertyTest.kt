package app.latchkey.sdk

import java.nio.file.Path
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.CopyOnWriteArrayList
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.supervisorScope
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.TestInstance
import org.junit.jupiter.api.Timeout
import org.junit.jupiter.api.io.TempDir

/** A phone in Kotlin at a running property: portal and doors are processes, sockets between them. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Timeout(60)
class PropertyTest {
    private lateinit var property: RunningProperty
    private lateinit var phone: Phone
    private val keystore = PromptingDeviceKey()

    @BeforeAll
    fun start(@TempDir folder: Path) = runBlocking {
        property = RunningProperty(folder)
        phone = Phone.open(folder.resolve("wallet").toString(), MemorySealingKeys(), keystore)
        val pending = phone.signInStart(property.portalUrl, ANA)
        val report = phone.signInFinish(pending, property.code(ANA), "Test phone")
        assertEquals(emptyList(), report.failures)
    }

    @AfterAll
    fun stop() {
        phone.close()
        property.close()
    }

    @Test
    fun `what a person may open is there after the first sync, decided for this moment`() = runBlocking {
        assertEquals(emptyList(), phone.sync().failures)
        assertEquals(listOf("Juniper House" to Role.RESIDENT), phone.properties().map { it.name to it.role })
        val keys = phone.keys().associateBy { it.name }
        assertEquals(setOf("Home", "The roof, one day"), keys.keys)
        assertEquals(KeyStatus.ACTIVE, keys.getValue("Home").status)
        assertIs<Decision.Allowed>(keys.getValue("Home").doors.single().usable)
        assertEquals(KeyStatus.UPCOMING, keys.getValue("The roof, one day").status)
    }

    @Test
    fun `a door opens, and the listener hears each step in order`() = runBlocking {
        val events = Events()
        phone.unlock(door("Front door"), events, null)
        assertIs<UnlockEvent.Looking>(events.heard.first())
        assertIs<UnlockEvent.Opened>(events.heard.last())
        val steps = events.heard.map { it::class }.distinct()
        assertEquals(
            listOf(
                UnlockEvent.Looking::class,
                UnlockEvent.Connecting::class,
                UnlockEvent.Proving::class,
                UnlockEvent.Opened::class,
            ),
            steps,
        )
    }

    @Test
    fun `a door that stays closed says why`() = runBlocking {
        val events = Events()
        val denial = assertFailsWith<LatchkeyException.Denied> {
            phone.unlock(door("Roof terrace"), events, null)
        }
        assertEquals(DenialReason.TOO_EARLY, denial.reason)
        assertEquals(DenialReason.TOO_EARLY, assertIs<UnlockEvent.Denied>(events.heard.last()).reason)
    }

    @Test
    fun `a person who cancels at the fingerprint prompt opens nothing`() = runBlocking {
        val events = Events()
        val cancel = CancelHandle()
        keystore.whilePrompting {
            supervisorScope {
                val unlocking = async { phone.unlock(door("Front door"), events, cancel) }
                prompted.await()
                cancel.cancel()
                assertFailsWith<LatchkeyException.Cancelled> { unlocking.await() }
            }
        }
        assertTrue(events.heard.none { it is UnlockEvent.Opened })
    }

    @Test
    fun `a cancelled coroutine ends the call, and the door opens at the next try`() = runBlocking {
        val events = Events()
        keystore.whilePrompting {
            val unlocking = launch { phone.unlock(door("Front door"), events, null) }
            prompted.await()
            unlocking.cancelAndJoin()
        }
        assertTrue(events.heard.none { it is UnlockEvent.Opened })
        phone.unlock(door("Front door"), null, null)
        Unit
    }

    @Test
    fun `a person who does not confirm is told apart from a keystore that fails`() = runBlocking {
        keystore.refusing(KeystoreException.NotConfirmed()) {
            val refusal = assertFailsWith<LatchkeyException.KeystoreRefused> {
                phone.unlock(door("Front door"), null, null)
            }
            assertEquals(KeystoreFault.NOT_CONFIRMED, refusal.fault)
        }
        keystore.refusing(IllegalStateException("unplugged")) {
            val refusal = assertFailsWith<LatchkeyException.KeystoreRefused> {
                phone.unlock(door("Front door"), null, null)
            }
            assertEquals(KeystoreFault.FAILED, refusal.fault)
        }
    }

    @Test
    fun `a listener that throws keeps no door closed`() = runBlocking {
        val broken = object : UnlockListener {
            override fun onEvent(event: UnlockEvent): Unit = error("the screen is gone")
        }
        phone.unlock(door("Front door"), broken, null)
        Unit
    }

    @Test
    fun `a key shows a rotating code`() = runBlocking {
        val home = phone.keys().single { it.name == "Home" }
        assertTrue(home.showsCodes)
        val code = phone.currentCode(home.at, null)
        assertTrue(code.text.startsWith("LK1:"), code.text)
        assertTrue(code.svg.contains("<svg"), code.svg)
        assertTrue(code.issuedAt < code.nextAt)
    }

    @Test
    fun `who follows hears that everything is up to date, and can stop waiting`() = runBlocking {
        phone.follow().use { follow ->
            val portal = phone.properties().single().portalUrl
            var change = follow.next()
            // What other tests did at the doors arrives first.
            while (change is PhoneChange.Changed) change = follow.next()
            assertEquals(PhoneChange.UpToDate(portal), change)
            val waiting = launch { follow.next() }
            waiting.cancelAndJoin()
        }
    }

    @Test
    fun `a wrong code signs nobody in`() = runBlocking {
        val pending = phone.signInStart(property.portalUrl, "olga@juniper.example")
        val right = property.code("olga@juniper.example")
        val wrong = if (right == "000000") "000001" else "000000"
        val refusal = assertFailsWith<LatchkeyException.Refused> {
            phone.signInFinish(pending, wrong, "Nobody's phone")
        }
        assertEquals(Refusal.WRONG_CODE, refusal.why)
    }

    private fun door(name: String): DoorRef = phone.doors().single { it.name == name }.at

    private class Events : UnlockListener {
        val heard = CopyOnWriteArrayList<UnlockEvent>()

        override fun onEvent(event: UnlockEvent) {
            heard += event
        }
    }

    private companion object {
        const val ANA = "ana@juniper.example"
    }
}

/** A keystore that can ask for a fingerprint before it proves at a door who is there. */
class PromptingDeviceKey : JvmDeviceKey() {
    private val access = ConcurrentHashMap.newKeySet<String>()

    @Volatile
    private var prompt: suspend () -> Unit = {}

    override fun needsPresence() = true

    override suspend fun create(label: String, usage: KeyUse): ByteArray {
        if (usage == KeyUse.ACCESS) access += label
        return super.create(label, usage)
    }

    override suspend fun sign(label: String, message: ByteArray): ByteArray {
        if (label in access) prompt()
        return super.sign(label, message)
    }

    class Prompting(val prompted: CompletableDeferred<Unit>)

    /** The prompt stays on the screen for as long as [work] runs. */
    suspend fun whilePrompting(work: suspend Prompting.() -> Unit) {
        val prompted = CompletableDeferred<Unit>()
        val answered = CompletableDeferred<Unit>()
        during({ prompted.complete(Unit); answered.await() }) { Prompting(prompted).work() }
        answered.complete(Unit)
    }

    /** Every prompt ends like this while [work] runs. */
    suspend fun refusing(with: Exception, work: suspend () -> Unit) = during({ throw with }, work)

    private suspend fun during(prompt: suspend () -> Unit, work: suspend () -> Unit) {
        this.prompt = prompt
        try {
            work()
        } finally {
            this.prompt = {}
        }
    }
}
