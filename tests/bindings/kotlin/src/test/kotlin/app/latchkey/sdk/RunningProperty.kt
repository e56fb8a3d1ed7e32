package app.latchkey.sdk

import java.io.File
import java.nio.file.Path
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.CountDownLatch
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread

/** Portal and doors of `property.toml`, as `cargo run` starts them: processes of their own. */
class RunningProperty(private val folder: Path) : AutoCloseable {
    private val codes = ConcurrentHashMap<String, LinkedBlockingQueue<String>>()
    private val up = CountDownLatch(1)
    private val said = StringBuffer()
    private val process: Process

    init {
        val file = folder.resolve("property.toml").toFile()
        file.writeText(RunningProperty::class.java.getResource("/property.toml")!!.readText())
        process = ProcessBuilder(
            System.getProperty("latchkey.program"),
            "--no-tour",
            "--file", file.path,
            "--data", data.path,
        ).redirectErrorStream(true).start()
        thread(isDaemon = true, name = "property") {
            process.inputStream.bufferedReader().forEachLine(::hear)
            up.countDown()
        }
        check(up.await(60, TimeUnit.SECONDS) && process.isAlive) { "the property did not start:\n$said" }
    }

    private val data: File get() = folder.resolve("data").toFile()

    val portalUrl: String get() = data.resolve("portal-url").readText().trim()

    /** The code that was mailed to an address, once it is there. */
    fun code(address: String): String =
        mailFor(address).poll(10, TimeUnit.SECONDS) ?: error("no mail for $address:\n$said")

    override fun close() {
        process.destroy()
        process.waitFor()
    }

    private fun hear(line: String) {
        said.appendLine(line)
        if ("The property stays up" in line) up.countDown()
        MAIL.find(line)?.destructured?.let { (address, code) -> mailFor(address).add(code) }
    }

    private fun mailFor(address: String) = codes.computeIfAbsent(address) { LinkedBlockingQueue() }

    private companion object {
        val MAIL = Regex("""mail to (\S+): code (\d{6})""")
    }
}
