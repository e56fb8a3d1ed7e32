package app.latchkey.sdk

import java.security.KeyPair
import java.security.KeyPairGenerator
import java.security.SecureRandom
import java.security.Signature
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec
import java.util.concurrent.ConcurrentHashMap

/** P-256 keys of the JVM's own provider, in the place of a phone's secure element. */
open class JvmDeviceKey : DeviceKey {
    private val pairs = ConcurrentHashMap<String, KeyPair>()

    val labels: Set<String> get() = pairs.keys

    override fun protection() = Protection.HARDWARE

    override fun needsPresence() = false

    override suspend fun create(label: String, usage: KeyUse): ByteArray {
        val generator = KeyPairGenerator.getInstance("EC")
        generator.initialize(ECGenParameterSpec("secp256r1"))
        val pair = generator.generateKeyPair()
        pairs[label] = pair
        return uncompressed(pair)
    }

    override suspend fun publicKey(label: String): ByteArray? = pairs[label]?.let(::uncompressed)

    override suspend fun sign(label: String, message: ByteArray): ByteArray {
        val pair = pairs[label] ?: throw KeystoreException.Missing()
        return Signature.getInstance("SHA256withECDSAinP1363Format").run {
            initSign(pair.private)
            update(message)
            sign()
        }
    }

    override suspend fun delete(label: String) {
        pairs.remove(label)
    }

    private fun uncompressed(pair: KeyPair): ByteArray {
        val point = (pair.public as ECPublicKey).w
        return byteArrayOf(4) + fixed(point.affineX.toByteArray()) + fixed(point.affineY.toByteArray())
    }

    /** 32 bytes, without a sign and with leading zeros. */
    private fun fixed(number: ByteArray): ByteArray {
        val digits = number.takeLast(32)
        return ByteArray(32 - digits.size) + digits.toByteArray()
    }
}

/** Sealing keys in memory, in the place of the platform's keystore. */
class MemorySealingKeys : SealingKeyStore {
    private val keys = ConcurrentHashMap<String, ByteArray>()

    override fun load(wallet: String): ByteArray? = keys[wallet]

    override fun create(wallet: String): ByteArray =
        ByteArray(32).also(SecureRandom()::nextBytes).also { keys[wallet] = it }
}
